package envelope

import (
	"errors"
	"regexp"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Reader reads messages that anybody may have written, and sees to what Decode leaves to its caller.
type Reader struct {
	DefaultEndpoint string        // for messages that name none; empty: they cannot be read
	MaxAge          time.Duration // the longest deadline, from submission
	MaxSize         int           // of a message, in bytes
}

var (
	errEndpoint   = errors.New("the message names an endpoint that there cannot be: not 1 to 64 of A-Z a-z 0-9 . _ -")
	errNoEndpoint = errors.New("the message names no endpoint, and there is no default one")
	errBodyRef    = errors.New("body_ref names nothing that is kept here")
)

// endpointName is what the configuration lets an endpoint be named. Any other would have a queue of its own in a store,
// and a label in metrics, although no worker can have that endpoint.
var endpointName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Read reads a message that arrived then; nameless is its id if it has none that is valid. Its deadline is within
// MaxAge of its submission, and a time of submission that cannot be is replaced. With an error the request still has
// an id and times. Request.Body may be a part of data.
func (r Reader) Read(data []byte, arrived time.Time, nameless domain.ID) (Message, error) {
	m, err := Decode(data, arrived, r.MaxSize)
	if err != nil {
		return Message{Request: domain.Request{
			ID: nameless, SubmittedAt: arrived, Deadline: arrived.Add(r.MaxAge),
		}}, err
	}
	req := &m.Request
	if req.ID == "" {
		req.ID = nameless
	}
	if req.Endpoint == "" {
		req.Endpoint = r.DefaultEndpoint
	}
	r.boundTimes(req, arrived)
	switch {
	case req.Endpoint != "" && !endpointName.MatchString(req.Endpoint):
		req.Endpoint = ""
		return m, errEndpoint
	case m.BodyRef != "":
		return m, errBodyRef
	case req.Endpoint == "":
		return m, errNoEndpoint
	}
	return m, nil
}

func (r Reader) boundTimes(req *domain.Request, arrived time.Time) {
	var lifetime time.Duration
	if !req.Deadline.IsZero() {
		lifetime = req.Deadline.Sub(req.SubmittedAt)
	}
	if lifetime <= 0 || lifetime > r.MaxAge {
		lifetime = r.MaxAge
	}
	if req.SubmittedAt.After(arrived) || arrived.Sub(req.SubmittedAt) > r.MaxAge {
		req.SubmittedAt = arrived
	}
	req.Deadline = req.SubmittedAt.Add(lifetime)
}
