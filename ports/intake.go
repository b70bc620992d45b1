// Package ports holds the interfaces between the application and the world. A comment on a method is its contract:
// whether it blocks, what it retries, which errors it returns. One suite holds every implementation to it. All methods
// are safe for concurrent use unless they say otherwise.
package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Intake accepts requests and cancels them.
type Intake interface {
	// Accept makes each request durable, with its record and its place in the queue, as one step per request. The
	// answers are aligned with reqs, and a request that fails does not affect the rest. It blocks until all are durable,
	// and keeps nothing of reqs; but when ctx ends first it may read the bodies later, so nobody changes them. An error
	// matching ErrUnavailable means "not confirmed": the request may still run.
	Accept(ctx context.Context, reqs []domain.Request) []Accepted

	// Cancel makes a PENDING request CANCELLED, and returns the same when called again. ErrConflict, together with the
	// record as it is, when a worker has begun it or it ended otherwise; ErrNotFound when there is none.
	Cancel(ctx context.Context, id domain.ID) (domain.Record, error)
}

// Accepted is the answer to one request of Accept.
type Accepted struct {
	Outcome AcceptOutcome
	Record  domain.Record // with AcceptedSame the record of the earlier request
	Err     error         // ErrFull, ErrStorageLow, ErrUnavailable, ErrClosed
}

// AcceptOutcome says what an idempotency key did to a request. Without a key it is always AcceptedNew.
type AcceptOutcome uint8

// The outcomes of accepting.
const (
	AcceptedNew      AcceptOutcome = iota
	AcceptedSame                   // the key and fingerprint of an earlier request: that one stands
	AcceptedMismatch               // the key of an earlier request, but not its fingerprint
)
