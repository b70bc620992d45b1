package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// DeadLetters keeps every request that ended FAILED or TIMEOUT, and no other, from that moment until it is deleted or
// its lifetime (store.dead_letter_ttl) is over. What it returns is durable. Errors: ErrNotFound, ErrUnavailable,
// ErrClosed.
type DeadLetters interface {
	// List returns those that match, newest first, without their originals. It looks at a bounded number of dead letters,
	// so a page may hold fewer than the limit, or none, and still not be the last.
	List(ctx context.Context, filter DeadLetterFilter) (DeadLetterPage, error)

	// State returns a dead letter without its original: cheap, however large that is.
	State(ctx context.Context, id domain.ID) (domain.DeadLetter, error)

	// Find returns a whole dead letter. Its Request is nil when the original cannot be read. Its Original is set for a
	// message that was rejected.
	Find(ctx context.Context, id domain.ID) (domain.DeadLetter, error)

	// Delete removes a dead letter with its original, durably. The record of the request stays. ErrNotFound the second
	// time.
	Delete(ctx context.Context, id domain.ID) error
}

// DeadLetterFilter says which dead letters to list. Zero fields match all.
type DeadLetterFilter struct {
	Endpoint string
	Reason   domain.Reason
	Before   DeadLetterPlace // only those after this place in the list
	Limit    int             // of one page, at least 1
}

// DeadLetterPlace is a place in the list of dead letters, which is sorted by time and then by id, both descending. The
// zero place is the beginning of the list.
type DeadLetterPlace struct {
	FailedAt time.Time
	ID       domain.ID // empty: after all dead letters of that time
}

// DeadLetterPage is a part of the list.
type DeadLetterPage struct {
	Letters []domain.DeadLetter
	Next    DeadLetterPlace // where the next page begins; zero after the last one
}

// Resender sends dead letters again. Each becomes a new request, and is removed when that is durable. So nothing is
// lost, and only a crash or a failure of the store between the two leaves both.
type Resender interface {
	// Resend sends one again. It blocks until the new request is durable and the dead letter is gone. The end of ctx
	// does not interrupt it in between: it has a time limit of its own. Errors: ErrNotFound, ErrUnknownEndpoint when the
	// endpoint is not configured any more and ErrUnreadable, after which the dead letter stays; ErrFull; ErrUnavailable,
	// which means "not confirmed", and ErrClosed.
	Resend(ctx context.Context, id domain.ID) (Resent, error)

	// ResendMany sends one page of those that match again, newest first and no faster than rate a second, which is at
	// least 1. It blocks until that is done, ctx ends or something fails. After the first resend it returns no error, but
	// what was done and where to continue.
	ResendMany(ctx context.Context, filter DeadLetterFilter, rate int) (ResentPage, error)
}

// Resent is a dead letter that became a new request.
type Resent struct {
	From        domain.ID // of the dead letter
	ID          domain.ID // of the new request
	SubmittedAt time.Time
}

// ResentPage is the outcome for a page of dead letters. Those that were removed meanwhile are in neither list.
type ResentPage struct {
	Resent  []Resent
	Skipped []Unresendable  // they stay
	Next    DeadLetterPlace // where to continue; zero when nothing is left
}

// Unresendable is a dead letter that cannot be sent again.
type Unresendable struct {
	ID  domain.ID
	Err error // ErrUnknownEndpoint or ErrUnreadable
}
