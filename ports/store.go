package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Store keeps the records of requests that a Carrier carries. It has the record alone until the request is to wait for
// anything but its turn. Then the store keeps all of the request (Keep), and its message is settled; from then on
// StoreWork.Receive hands it out, and the carrier knows nothing of it.
//
// All errors match ErrUnavailable, "not confirmed", or ErrClosed, and Create has ErrFull too. Every call may be
// repeated. Items are steps of their own: one that fails does not affect the rest. Nothing of the arguments is kept
// after a call.
type Store interface {
	// Create makes the records, durably, as Intake.Accept does. The answers are aligned.
	Create(ctx context.Context, creations []Creation) []Created

	// Published notes that the carrier has the messages of requests with an idempotency key, so that a repeat need not
	// publish again.
	Published(ctx context.Context, reqs []domain.Request) error

	// Keep saves whole requests, durably, that the carrier has handed out or never accepts, so that their messages can be
	// settled. One that is not begun waits for its time; one that a worker holds stays with it, and is handed to another
	// when the lease is over. Keep makes a record where there is none, and completes a dead letter that has no original.
	// What is in the store already stays as it is. The errors are aligned.
	Keep(ctx context.Context, arrivals []Arrival) []error

	// Reject makes a dead letter of a message that cannot be read, and a record that says so. The request has an id and
	// times. The second time it does nothing.
	Reject(ctx context.Context, req domain.Request, message []byte, cause error) error

	// Cancel is that of Intake.
	Cancel(ctx context.Context, id domain.ID) (domain.Record, error)
}

// StoreWork is Work on what the store holds, and begins what the carrier hands out. Its leases are the consumer's.
type StoreWork interface {
	// Receive hands out what the store holds. Finish is for all that the store has begun: for a delivery that the carrier
	// handed out it needs the Original where the outcome is not COMPLETED.
	Work

	// Take is a Receive that does not wait for anything: it may return none. It does not end with ctx.
	Take(ctx context.Context, credit Credit) ([]Delivery, error)

	// Begin makes requests PROCESSING that the carrier has handed out, in one round trip where the store can. It makes
	// records of those that have none: other programs wrote them, or the store has lost its data. The answers are
	// aligned. Repeated with the same Try it returns the same delivery.
	Begin(ctx context.Context, arrivals []Arrival) []Begun
}

// Losses is a store that can end requests whose messages the carrier has lost.
type Losses interface {
	// Suspects returns the moment that was age ago, when a carried request was waiting to be begun before it, or a lease
	// of one ended before it, and is not extended. It returns the zero time when there is no such request, and while
	// another process looks for lost ones: one at a time does, and others take over within a minute.
	//
	// The moment is one of the store's clock, which must be that of the calls of Create, Begin and Keep. Create counts as
	// one when it returns Unpublished. Errors match ErrUnavailable or ErrClosed.
	Suspects(ctx context.Context, age time.Duration) (before time.Time, err error)

	// EndLost ends those requests, at most limit in one step, as FAILED with domain.ReasonLost, and returns how many.
	// Whoever receives one of their messages all the same settles it: Begin finds that the request is final.
	EndLost(ctx context.Context, before time.Time, limit int) (ended int, err error)
}

// Creation is a request that is to have a record.
type Creation struct {
	Request domain.Request
	Carried bool // the carrier will have it, else the store keeps all of it
}

// Created is the answer to one Creation.
type Created struct {
	Accepted

	// Unpublished: the carrier is not known to have the request, which for a repeat is the earlier one, whose id is in
	// Accepted.Record.
	Unpublished bool
}

// Arrival is a request that came as a message.
type Arrival struct {
	Request  domain.Request
	Attempts int    // that other programs have charged; counts only where there is no record yet
	Try      string // names this hand-out, the same when Begin is repeated
}

// Begun is the answer to one Arrival.
type Begun struct {
	Verdict  BegunVerdict
	Delivery Delivery // with BegunGo
	Err      error    // then the rest means nothing
}

// BegunVerdict says what to do with a message.
type BegunVerdict uint8

// The verdicts of Begin.
const (
	BegunGo   BegunVerdict = iota // work on it, and settle the message after Finish
	BegunDone                     // settle the message: the request is final, or the store has all of it
	BegunKeep                     // call Keep, and then settle the message: it is not due, or another worker has it
)
