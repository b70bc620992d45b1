package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Outcomes saves how requests ended elsewhere: results of other programs, and requests that cannot be handed over.
// Errors match ErrUnavailable, "not confirmed", or ErrClosed. Every call may be repeated. Nothing of the arguments is
// kept after a call.
type Outcomes interface {
	// Conclude makes requests final, durably, whatever their state. The first result counts: a request that is final
	// already stays as it is, which is no error. The errors are aligned, and one that fails does not affect the rest.
	// ErrNotFound: the store has no such request, or not any more.
	Conclude(ctx context.Context, conclusions []Conclusion) []error

	// RejectResult is ForeignIntake.Reject for a message that cannot be read as a result. No notice of a result is owed
	// for it.
	RejectResult(ctx context.Context, rejection Rejection) error
}

// Conclusion is how a request ended.
type Conclusion struct {
	ID     domain.ID
	Status domain.Status // a final one
	Result domain.Result
}
