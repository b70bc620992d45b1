package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Submitter is what an inbound adapter needs to hand a request in.
type Submitter interface {
	// Check says what Submit would refuse whatever the body is, so that nobody sends one in vain. It does not block.
	// Errors: *domain.Invalid, ErrUnknownEndpoint, ErrForbidden.
	Check(s Submission) error

	// Submit validates and accepts. It blocks until the request is durable. Errors: *domain.Invalid,
	// ErrUnknownEndpoint, ErrForbidden, ErrMismatch, ErrFull, ErrUnavailable, ErrClosed.
	Submit(ctx context.Context, s Submission) (Receipt, error)
}

// Poller is what an inbound adapter needs to read. Records of other owners are ErrNotFound.
type Poller interface {
	// State gives a record without its result.
	State(ctx context.Context, caller Caller, id domain.ID) (domain.Record, error)
	// Wait blocks until the record is final, wait is over or ctx ends, and gives it as it then is, without its result.
	Wait(ctx context.Context, caller Caller, id domain.ID, wait time.Duration) (domain.Record, error)
	// Find gives a whole record. It holds all of the response in memory: Record.ResponseSize tells before how large it is.
	Find(ctx context.Context, caller Caller, id domain.ID) (domain.Record, error)
}

// Canceller is what an inbound adapter needs to cancel.
type Canceller interface {
	// Cancel makes a PENDING request CANCELLED; again is no error. ErrConflict, with the record, when it is too late;
	// ErrNotFound.
	Cancel(ctx context.Context, caller Caller, id domain.ID) (domain.Record, error)
}

// Caller is who asks.
type Caller struct {
	Name      string   // of the API key; empty without keys
	Endpoints []string // that it may use; empty: all
	Admin     bool
}

// Submission is a request as a client words it. Zero values mean "not said".
type Submission struct {
	Caller   Caller
	Origin   domain.Origin // as far as the adapter believes what it is told
	Endpoint string
	Method   string
	Path     string
	Query    string
	Header   domain.Header // the client's, before the header policy
	Body     []byte        // nil: none; kept by Submit
	Bodiless bool          // without a body on purpose; else the methods that are commonly sent with one need it

	Priority    int
	Labels      map[string]string
	Timeout     time.Duration // from now to the deadline
	Delay       time.Duration
	NotBefore   time.Time
	MaxAttempts int

	IdempotencyKey string
}

// Receipt says that a request is accepted, now or, with Repeated, by an earlier submit with the same key.
type Receipt struct {
	ID          domain.ID
	SubmittedAt time.Time
	Repeated    bool
}
