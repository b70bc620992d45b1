package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// ForeignIntake saves requests that other programs wrote. Every call may be repeated, and keeps nothing of its
// arguments afterwards. Errors match ErrUnavailable, "not confirmed", or ErrClosed.
type ForeignIntake interface {
	// AcceptForeign makes each request durable, as Intake.Accept does, with the attempts that other programs have charged.
	// A request that came before stays as it is, which is no error: one with the id and the Fingerprint of this one.
	// ErrIDUsed: the id belongs to another request. The errors are aligned, and one that fails does not affect the rest.
	// ErrFull as for Intake.Accept.
	AcceptForeign(ctx context.Context, arrivals []Arrival) []error

	// Reject makes a dead letter of a message, and a record that says so, durably. Called again it does nothing.
	Reject(ctx context.Context, rejection Rejection) error
}

// Rejection is a message of another program that is not accepted.
type Rejection struct {
	// Request has an id and times. With Whole it is all that the message says, so that the dead letter can be sent again.
	Request domain.Request
	Whole   bool
	// Spare is the id to use if another request has that of Request. It is derived from the place of the message, which
	// is the same at every hand-out.
	Spare domain.ID

	Original domain.Original
	Reason   domain.Reason
	Cause    error
}
