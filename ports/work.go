package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Work hands out deliveries that are begun (due, not final, fenced by a token) and saves their outcomes.
type Work interface {
	// Receive blocks until it can hand out at least one delivery within the credit, or ctx ends. It returns what is
	// there, at most the credit. Each delivery is PROCESSING, durably, before it is handed out, and leased; the lease is
	// extended until Finish or until the holder's process dies. When ctx ends nothing is lost: Receive returns either
	// the deliveries it had begun, with a nil error, or none with the error of ctx. While the broker is away it keeps
	// trying. ErrClosed after Close.
	Receive(ctx context.Context, credit Credit) ([]Delivery, error)

	// Finish makes each outcome durable and ends its delivery, as one step per item, with everything that follows from
	// it: waiters are woken, a FAILED or TIMEOUT becomes a dead letter. The errors are aligned with finishes. ErrLost:
	// another worker holds the request by now, and nothing was changed. ErrUnavailable: not confirmed; the caller
	// repeats it, and the delivery stays leased meanwhile. ErrStorageLow: the same, until the disk has room. Bodies of
	// responses may be read later, so nobody changes them.
	Finish(ctx context.Context, finishes []Finish) []error
}

// Credit bounds what Receive hands out.
type Credit struct {
	Count int   // deliveries, at least 1
	Bytes int64 // of domain.Request.Size in total; a first delivery may be larger

	// Endpoints bounds the deliveries of single endpoints; 0 refuses one. Requests of refused endpoints wait where
	// they are and cost nothing. Endpoints that are not named are bounded by Count alone.
	Endpoints map[string]int

	// Known are the endpoints that the caller can call at all; nil: all. Requests of other endpoints wait for a worker
	// that knows them. A broker that cannot choose hands them out all the same. The map is never changed.
	Known map[string]struct{}
}

// Delivery is one hand-out of a request to one worker.
type Delivery struct {
	Request    domain.Request
	Attempts   int             // charged so far
	Answered   bool            // an earlier attempt got a response, and it is kept
	Deliveries int             // hand-outs without an outcome (see Outcome.Deliveries), this one included
	Token      string          // fences Finish
	Lease      context.Context // ends when the lease is lost: a call that still runs is useless
}

// Finish is what became of one delivery.
type Finish struct {
	ID      domain.ID
	Token   string
	Outcome domain.Outcome

	// Original is the request as the carrier has it, for a Store that must keep it from now on. Nil: the store has it
	// already, or need not. Callers of Work leave it out.
	Original *domain.Request
}
