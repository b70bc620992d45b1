package carrier

import (
	"time"

	"github.com/openhqm/openhqm/domain/outage"
)

const (
	// OpenTimeout bounds opening a carrier, an outlet or an inlet, so that a start that cannot succeed fails within 10 s.
	OpenTimeout = 8 * time.Second
	// DialTimeout bounds opening one connection.
	DialTimeout = 3 * time.Second
	// CallTimeout bounds one request to the broker and its answer.
	CallTimeout = 5 * time.Second
	// PublishPatience is how long a message is sent again, for instance while another broker becomes leader.
	PublishPatience = 10 * time.Second
	// ClosePatience is how long Close lets requests under way finish.
	ClosePatience = 3 * time.Second

	// longestPause bounds the pauses between two tries of what a caller waits for.
	longestPause = 2 * time.Second
	// maxWaiting bounds the bytes that wait to be sent or are under way in one publisher.
	maxWaiting = 64 << 20
)

// NewBackoff returns pauses between tries of what a caller waits for: they grow to 2 s.
func NewBackoff() outage.Backoff { return outage.Backoff{Longest: longestPause} }
