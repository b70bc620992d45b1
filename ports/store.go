package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Store keeps the records of requests that a Queue carries. What the queue carries, the store does not hold: it has
// the record alone, until the request is to wait for anything but its turn. Then the store takes all of it in (Keep)
// and the message can go; from then on it is handed out by StoreWork.Receive and no broker knows of it.
//
// All errors match ErrUnavailable, "not confirmed", or ErrClosed, and Create has ErrFull too. Every call may be
// repeated. Items are steps of their own: one that fails leaves the others alone. Nothing of the arguments is kept
// after a call.
type Store interface {
	// Create makes the records, durably, as Intake.Accept does. The answer is aligned.
	Create(ctx context.Context, creations []Creation) []Created

	// Published notes that the queue has the messages of requests that carry an idempotency key, so that a repeat of one
	// need not publish it again.
	Published(ctx context.Context, reqs []domain.Request) error

	// Keep takes requests in, durably, that the queue has handed out or would not take: then their messages can go. One
	// that is not begun waits for its time; one that a worker holds stays with it, and is handed to another when the lease
	// is over. It makes a record where there is none, and completes a dead letter that has no original. What is in the
	// store already stays as it is.
	Keep(ctx context.Context, arrivals []Arrival) []error

	// Reject makes a dead letter of a message that nobody can read, and a record that says so. The request has an id and
	// times. The second time it does nothing.
	Reject(ctx context.Context, req domain.Request, message []byte, cause error) error

	// Cancel is that of Intake.
	Cancel(ctx context.Context, id domain.ID) (domain.Record, error)
}

// StoreWork is Work on what the store holds, with a way in for what the queue hands out. Its leases are the consumer's.
type StoreWork interface {
	// Receive and Finish are about all that the store has begun, carried by the queue or not. With a delivery that the
	// queue carries, Finish needs the Original where the outcome is not COMPLETED.
	Work

	// Take is a Receive that does not block: it may give nothing. It does not end with ctx.
	Take(ctx context.Context, credit Credit) ([]Delivery, error)

	// Begin makes requests PROCESSING that the queue has handed out, in one round trip where the store can, and makes
	// records of those that have none: others have written them, or the store has lost its data. The answer is aligned.
	// Repeated with the same Try it gives the same delivery.
	Begin(ctx context.Context, arrivals []Arrival) []Begun
}

// Creation is a request that is to have a record.
type Creation struct {
	Request domain.Request
	Carried bool // the queue will carry it, else the store keeps all of it
}

// Created is the answer to one Creation.
type Created struct {
	Accepted

	// Unpublished: the request is not known to be in the queue. When it is a repeat, that is the earlier request, whose
	// id Accepted.Record has.
	Unpublished bool
}

// Arrival is a request that the queue has handed out.
type Arrival struct {
	Request  domain.Request
	Attempts int    // that others have charged; meant only where there is no record yet
	Try      string // names this hand-out, the same when Begin is repeated
}

// Begun is the answer to one Arrival.
type Begun struct {
	Verdict  BegunVerdict
	Delivery Delivery // with BegunGo
	Err      error    // then the rest means nothing
}

// BegunVerdict says what to do about a message.
type BegunVerdict uint8

// The verdicts of Begin.
const (
	BegunGo   BegunVerdict = iota // work on it, and let the message go after Finish
	BegunDone                     // let the message go: the request is final, or the store has it all
	BegunKeep                     // give it to Keep, and then let the message go: it is not due, or another worker has it
)
