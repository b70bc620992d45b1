package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Observer writes logs and metrics. It never blocks and never fails.
type Observer interface {
	// Attempted is called for every delivery that was worked on, charged or not.
	Attempted(ctx context.Context, a Attempted)
	// Submitted is called for every request offered to the queue, with nil when it was accepted.
	Submitted(ctx context.Context, err error)
	// Ended is called for every request that became final in this process, once, after that is durable. The record's
	// result has no response.
	Ended(rec domain.Record)
}

// Attempted describes one delivery that was worked on.
type Attempted struct {
	Request    *domain.Request
	Endpoint   string // a configured name, or "" for one that is not
	Attempt    int
	Deliveries int
	StatusCode int    // of the backend; 0 without an answer
	Address    string // host:port of the backend that a call failed at; "" otherwise
	Label      string // LabelAnswered, or the kind of failure, or why no call was made
	Outcome    domain.Outcome
}

// Labels of deliveries without a domain.FailureKind.
const (
	LabelAnswered        = "answered"
	LabelDeadline        = "deadline"         // it was over before the call
	LabelMaxDeliveries   = "max_deliveries"   // begun more often than queue.max_deliveries
	LabelUnknownEndpoint = "unknown_endpoint" // handed back for a worker that knows it
)

// Depths are how many requests wait and run, by where they are.
type Depths struct {
	Ready       int64
	Delayed     int64
	Leased      int64
	DeadLetters int64
	OldestReady time.Time // when the longest waiting ready request became ready; zero when none waits
	Carried     int64     // of those that are ready or leased: how many a carrier has beside the store
	Approximate bool      // the broker can only estimate
}

// Gauge reads the depths of the queue.
type Gauge interface {
	// Depths is cheap enough to be called at every scrape.
	Depths(ctx context.Context) (Depths, error)
}

// Probe checks whether a component works.
type Probe interface {
	// Probe uses the component, and returns why it does not work, or a Degraded. It returns within the deadline of ctx.
	Probe(ctx context.Context) error
}

// Degraded is what Probe returns for a component that works, but not for everything: it says, without names of
// endpoints, what does not.
type Degraded string

// Error returns what does not work.
func (d Degraded) Error() string { return string(d) }

// Detailed is a Probe that also says, for people, what is unusual about parts of its component. The component may work
// all the same: only Probe decides that.
type Detailed interface {
	// Details returns a few words, without secrets, by the name of the part, and none when nothing is unusual. It does
	// not block.
	Details() map[string]string
}
