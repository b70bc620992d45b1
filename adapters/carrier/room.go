package carrier

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/openhqm/openhqm/ports"
)

// Room bounds the bytes of messages that wait to be sent or are under way. It is safe for concurrent use.
type Room struct {
	closed context.Context //nolint:containedctx // the life of the carrier
	bytes  *semaphore.Weighted
}

// NewRoom returns an empty Room of 64 MiB. Once closed has ended nobody gets in.
func NewRoom(closed context.Context) *Room {
	return &Room{closed: closed, bytes: semaphore.NewWeighted(maxWaiting)}
}

// Acquire blocks until there is room for so many bytes; a message larger than all of it waits until the room is empty.
// It returns Unconfirmed when ctx ends first, and ports.ErrClosed when the carrier is closed.
func (r *Room) Acquire(ctx context.Context, bytes int) error {
	if r.closed.Err() != nil {
		return ports.ErrClosed
	}
	if r.bytes.TryAcquire(weight(bytes)) {
		return nil
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.closed, cancel)()
	switch err := r.bytes.Acquire(waiting, weight(bytes)); {
	case err == nil:
		return nil
	case r.closed.Err() != nil:
		return ports.ErrClosed
	default:
		return Unconfirmed(ctx)
	}
}

// Release returns what Acquire took.
func (r *Room) Release(bytes int) { r.bytes.Release(weight(bytes)) }

func weight(bytes int) int64 { return min(int64(bytes), maxWaiting) }
