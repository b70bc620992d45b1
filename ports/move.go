package ports

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Movable is a store whose contents can be moved to another one, of any kind. Nothing else uses either meanwhile.
type Movable interface {
	Exporter
	Importer
	MoveParty
}

// Exporter hands out all that a store keeps. Errors match ErrUnavailable or ErrClosed.
type Exporter interface {
	// Export calls visit with everything that is stored, some at a time, as many as may be in memory at once. Visit may
	// remove what it gets. What it does not remove may come again, and so may a request that changes meanwhile.
	// Ready requests of one endpoint and lane come in their order. Export ends with the first error of visit.
	Export(ctx context.Context, visit func([]Stored) error) error

	// Remove removes all that is stored under these ids, durably. What is gone already is no error.
	Remove(ctx context.Context, all []Stored) error
}

// Importer saves what an Exporter handed out.
type Importer interface {
	// Import makes each durable, as one step. Unfinished requests are PENDING, ready or delayed. What is there already, by
	// an earlier call, stays as it is, and that is no error. ErrConflict: another request has the id, or the
	// store cannot keep the original of the dead letter; nothing was changed.
	// Other errors match ErrFull, ErrStorageLow, ErrUnavailable or ErrClosed. The errors are aligned with all.
	Import(ctx context.Context, all []Stored) []error
}

// MoveParty is a store that knows of moves. Errors match ErrUnavailable or ErrClosed.
type MoveParty interface {
	// Mark returns what was noted last, the zero MoveMark when nothing was.
	Mark(ctx context.Context) (MoveMark, error)

	// SetMark notes, durably, what the store has to do with a move. With any but the zero MoveMark no process starts on
	// it.
	SetMark(ctx context.Context, mark MoveMark) error

	// Users says for people what uses the store now besides the caller; empty: nothing does. A process that starts after
	// SetMark either finds the mark or is found here.
	Users(ctx context.Context) (string, error)
}

// Stored is all that a store keeps under one id.
type Stored struct {
	ID domain.ID

	// Record is nil when only other parts are left. A request that was begun is PENDING here, with its deliveries: nobody
	// works on it any more. The result of a final one is without its response.
	Record   *domain.Record
	Expires  time.Time        // the end of the lifetime of a final record
	Request  *domain.Request  // of an unfinished one; nil while only a carrier has it
	Response *domain.Response // of the last attempt that was answered; nil: none was

	Letter *StoredLetter      // nil: there is none
	Key    *StoredIdempotency // nil: the request holds none
}

// StoredLetter is a dead letter, with its original if there is one, and what else is known of the request.
type StoredLetter struct {
	domain.DeadLetter

	Owner    string
	Priority int
	Deadline time.Time
	Expires  time.Time
}

// StoredIdempotency is an idempotency key that a request holds.
type StoredIdempotency struct {
	domain.Idempotency

	Owner       string
	SubmittedAt time.Time // of the request, which may be gone before its key
}

// MoveState says what a store has to do with a move.
type MoveState string

// The states of a store. The text is stored.
const (
	MoveNone     MoveState = ""
	MoveLeaving  MoveState = "leaving"  // it is being moved to the peer
	MoveLeft     MoveState = "left"     // it was moved to the peer
	MoveArriving MoveState = "arriving" // what the peer has is being moved here
)

// MoveMark is what a store notes of a move.
type MoveMark struct {
	State MoveState
	Move  string // names the move; the same in both stores
	Peer  string // the other store, for people: without secrets and line ends
}

// String returns the mark as it is stored.
func (m MoveMark) String() string {
	return strings.Join([]string{string(m.State), m.Move, m.Peer}, "\n")
}

// ParseMoveMark reads what String returned. Text that it did not return keeps processes away, too.
func ParseMoveMark(text string) MoveMark {
	parts := strings.SplitN(text, "\n", 3)
	if len(parts) < 3 {
		return MoveMark{State: MoveLeft, Peer: fmt.Sprintf("%q", text)}
	}
	return MoveMark{State: MoveState(parts[0]), Move: parts[1], Peer: strings.TrimSpace(parts[2])}
}

// Refusal returns why no process may start on a store with this mark: an error that matches ErrMisconfigured, or nil.
func (m MoveMark) Refusal() error {
	switch m.State {
	case MoveNone:
		return nil
	case MoveLeft:
		return fmt.Errorf("%w: what was here has been moved to %s; start with the configuration of that",
			ErrMisconfigured, m.Peer)
	case MoveArriving:
		return fmt.Errorf("%w: what is at %s is being moved here; run openhqm move again until it has ended",
			ErrMisconfigured, m.Peer)
	default:
		return fmt.Errorf("%w: what is here is being moved to %s; run openhqm move again until it has ended",
			ErrMisconfigured, m.Peer)
	}
}
