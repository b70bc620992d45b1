package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Outcomes takes in what other programs made of requests. Errors match ErrUnavailable, "not confirmed", or ErrClosed.
// Every call may be repeated. Nothing of the arguments is kept after a call.
type Outcomes interface {
	// Conclude makes requests final, durably, whatever had become of them until then. The first result counts: a request
	// that is final already stays as it is, which is no error. The answer is aligned, one that fails leaves the others
	// alone, and ErrNotFound means that there is no such request, or not any more.
	Conclude(ctx context.Context, conclusions []Conclusion) []error

	// RejectResult makes a dead letter of a result that nobody can read, and a record that says so. The request has an id
	// of its own and times. Nobody is told of a result of it. The second time it does nothing.
	RejectResult(ctx context.Context, req domain.Request, message []byte, cause error) error
}

// Conclusion is how a request ended.
type Conclusion struct {
	ID     domain.ID
	Status domain.Status // a final one
	Result domain.Result
}
