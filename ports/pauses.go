package ports

import (
	"context"
	"time"
)

// Pauses shares among all processes which backends have asked to be left alone for a while (Retry-After).
type Pauses interface {
	// Pause notes a pause that begins now, for all processes. If the store has one that ends later, that stays. It blocks
	// until the store has confirmed, or ctx ends. Errors match ErrUnavailable, after which it may be called again, or
	// ErrClosed.
	Pause(ctx context.Context, p Pause) error

	// Follow calls note with the pauses of all processes, this one included: about a second after each began, and about
	// once a second while it lasts. It asks the store for nothing that is not asked anyway. Note must not block. Follow
	// returns nil when ctx ends, and ErrClosed when the store is closed.
	Follow(ctx context.Context, note func(Pause)) error
}

// Pause says that a backend is not to be called.
type Pause struct {
	Endpoint string
	URL      string        // of its backend; where a process reaches the endpoint at another one, the pause means nothing
	Left     time.Duration // from now, by the clock of the store
}
