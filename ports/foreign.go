package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// ForeignIntake saves requests that other programs wrote. Every call may be repeated, and keeps nothing of its
// arguments afterwards. Errors match ErrUnavailable, "not confirmed", or ErrClosed.
type ForeignIntake interface {
	// AcceptForeign makes each request durable, as Intake.Accept does, with the attempts that other programs have charged.
	// A request whose id is known already stays as it is, which is no error. The errors are aligned, and one that fails
	// does not affect the rest. ErrFull as for Intake.Accept.
	AcceptForeign(ctx context.Context, arrivals []Arrival) []error

	// Reject is that of Store.
	Reject(ctx context.Context, req domain.Request, message []byte, cause error) error
}
