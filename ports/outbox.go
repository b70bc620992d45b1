package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Outbox is the durable list of the notices of one kind that are still owed to other programs. Any number of processes
// may work it off, and each notice is handed to one of them at a time. Errors match ErrUnavailable, which the outbox
// reports to operators by itself, or ErrClosed.
type Outbox interface {
	// Due returns notices that are owed, as many as may be in memory at once. It does not wait: an empty answer means that
	// nothing is known to be owed until Wait returns. Notices that were returned before and are not done come again, with
	// what the store has by then. So do those that another process got and has not done within a lease.
	Due(ctx context.Context) ([]Notice, error)

	// Done removes notices, durably. When it fails they may come again.
	Done(ctx context.Context, notices []Notice) error

	// Waiting counts the notices that are owed, by all processes together. It is cheap enough to be called at every
	// scrape.
	Waiting(ctx context.Context) (int64, error)

	// Wait blocks until something may be owed, or ctx ends. What this process owes wakes it at once. Once a second it
	// looks for what other processes left behind.
	Wait(ctx context.Context)
}

// NoticeKind says what a notice is about.
type NoticeKind uint8

// The kinds of notices.
const (
	NoticeResult     NoticeKind = iota // a request became final
	NoticeDeadLetter                   // a dead letter was made, or its original became known
	NoticeHandover                     // a request is ready, and workers of other programs are to have it
)

// Notice is what other programs are still owed about one request.
type Notice struct {
	ID     domain.ID
	Ticket Ticket // for Outbox.Done

	// Record is set for results, with the result, and for handovers, without one. Nil: it is gone.
	Record *domain.Record
	// Letter is the dead letter, with its original if there is one. Nil: it is gone.
	Letter *domain.DeadLetter
	// Request is the one to hand over.
	Request *domain.Request

	Err error // why it cannot be read; then the rest means nothing
}
