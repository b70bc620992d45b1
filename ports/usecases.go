package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Submitter is what an inbound adapter needs to submit a request.
type Submitter interface {
	// Check returns the error that Submit would return whatever the body is, before a client sends it. It does not block.
	// Errors: *domain.Invalid, ErrUnknownEndpoint, ErrForbidden.
	Check(s Submission) error

	// Submit validates and accepts. It blocks until the request is durable. Errors: *domain.Invalid,
	// ErrUnknownEndpoint, ErrForbidden, ErrMismatch, ErrFull, ErrStorageLow, ErrUnavailable,
	// ErrClosed.
	Submit(ctx context.Context, s Submission) (Receipt, error)
}

// Poller is what an inbound adapter needs to read. Records of other owners are ErrNotFound.
type Poller interface {
	// State returns a record without its result.
	State(ctx context.Context, caller Caller, id domain.ID) (domain.Record, error)
	// Wait blocks until the record is final, wait is over or ctx ends. It returns it as it is then, without its result.
	Wait(ctx context.Context, caller Caller, id domain.ID, wait time.Duration) (domain.Record, error)
	// Find returns a whole record, with all of the response in memory. Record.ResponseSize of State says how large that
	// will be.
	Find(ctx context.Context, caller Caller, id domain.ID) (domain.Record, error)
}

// Canceller is what an inbound adapter needs to cancel.
type Canceller interface {
	// Cancel makes a PENDING request CANCELLED; a second call is no error. ErrConflict, with the record, when it is too
	// late; ErrNotFound.
	Cancel(ctx context.Context, caller Caller, id domain.ID) (domain.Record, error)
}

// Caller is the client that makes a call.
type Caller struct {
	Name      string   // of the API key; empty without keys
	Endpoints []string // that it may use; empty: all
	Admin     bool
}

// Submission is a request as a client words it. Zero values mean "not said".
type Submission struct {
	Caller   Caller
	Origin   domain.Origin // as far as the adapter trusts what the client says
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

// Receipt says that a request is accepted, now or by an earlier submit with the same key.
type Receipt struct {
	ID          domain.ID
	SubmittedAt time.Time
	Status      domain.Status // of an earlier request, as it is now; empty: PENDING, or only its key is left
}
