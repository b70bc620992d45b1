package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Store keeps the records of requests that a Carrier carries. While a request waits only for its turn, the store has
// its record and the carrier has the request. When it must wait for anything else, the store keeps all of it (Keep),
// and its message is settled. From then on StoreWork.Receive hands it out, and the carrier knows nothing of it.
//
// All errors match ErrUnavailable (not confirmed) or ErrClosed; those of Create may also match ErrFull. Every call may
// be repeated. Each item is a step of its own: one that fails does not affect the rest. Nothing of the arguments is
// kept after a call.
type Store interface {
	// Create makes the records durable, as Intake.Accept does. The answers are aligned with creations.
	Create(ctx context.Context, creations []Creation) []Created

	// Published notes that the carrier has the messages of requests with an idempotency key, so that a repeat need not
	// publish again.
	Published(ctx context.Context, reqs []domain.Request) error

	// Keep saves whole requests durably: those that the carrier has handed out, so that their messages can be settled,
	// and those that it never accepts. A request that is not begun waits until it is due. One that a worker holds stays
	// with that worker, and is handed to another when the lease is over. Keep makes a record where there is none, and
	// completes a dead letter that has no original. What is in the store already stays as it is. The errors are aligned
	// with arrivals. ErrIDUsed: the id belongs to a request with another Fingerprint.
	Keep(ctx context.Context, arrivals []Arrival) []error

	// Reject is that of ForeignIntake.
	Reject(ctx context.Context, rejection Rejection) error

	// Cancel has the contract of Intake.Cancel.
	Cancel(ctx context.Context, id domain.ID) (domain.Record, error)
}

// StoreWork is Work on what the store holds. It also begins what the carrier hands out. Its leases are the consumer's.
type StoreWork interface {
	// Receive hands out what the store holds. Finish is for everything that the store has begun. For a delivery that the
	// carrier handed out, Finish.Original is required unless the outcome is COMPLETED.
	Work

	// Take is Receive without waiting: it may return no deliveries. The end of ctx does not cut it short.
	Take(ctx context.Context, credit Credit) ([]Delivery, error)

	// Begin makes requests that the carrier has handed out PROCESSING, in one round trip where the store can. It makes a
	// record where there is none, because another program wrote the request or the store has lost its data. The answers
	// are aligned with arrivals. Repeated with the same Try it returns the same delivery.
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

	// Unpublished: the carrier is not known to have the request. For a repeat that is the earlier request, whose id is in
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
	Delivery Delivery // only with BegunGo
	Err      error    // then the rest means nothing
}

// BegunVerdict says what to do with a message.
type BegunVerdict uint8

// The verdicts of Begin.
const (
	BegunGo     BegunVerdict = iota // work on it, and settle the message after Finish
	BegunDone                       // settle the message: the request is final, or the store has all of it
	BegunKeep                       // call Keep, and then settle the message: it is not due, or another worker has it
	BegunIDUsed                     // call Reject, and then settle the message: its id belongs to another request
)
