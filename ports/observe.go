package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Observer is told what happens, for logs and metrics. It never blocks and never fails.
type Observer interface {
	// Attempted is told of every delivery that was worked on, charged or not.
	Attempted(ctx context.Context, a Attempted)
	// Submitted is told of every request offered to the queue: nil when it was accepted.
	Submitted(ctx context.Context, err error)
	// Ended is told of every request that became final in this process, once, after that is durable. The record's
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
	LabelMaxDeliveries   = "max_deliveries"   // begun too often
	LabelUnknownEndpoint = "unknown_endpoint" // handed back for a worker that knows it
)

// Depths are how many requests wait and run, by where they are.
type Depths struct {
	Ready       int64
	Delayed     int64
	Leased      int64
	DeadLetters int64
	OldestReady time.Time // when the longest waiting ready request became ready; zero when none waits
	Carried     int64     // of those that are ready or leased: how many a queue carries beside the store
	Approximate bool      // the broker can only estimate
}

// Gauge reads the queue's depth. It is cheap enough to be called at every scrape.
type Gauge interface {
	Depths(ctx context.Context) (Depths, error)
}

// Probe tells whether a component works, by using it. It answers within the deadline of ctx.
type Probe interface {
	Probe(ctx context.Context) error
}

// Detailed is a Probe that also says what is unusual about parts of its component, for people. It does not mean that
// the component does not work: that is for Probe alone to tell.
type Detailed interface {
	// Details gives a few words, without secrets, by the name of the part; empty when there is nothing to tell. It does
	// not block.
	Details() map[string]string
}
