package httpapi

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"
)

// clientShare: one client may hold a quarter of the budget, so that one with stalled uploads leaves room for others.
const clientShare = 4

var errNoRoom = errors.New("no memory left for another large body")

// bodyBudget bounds the memory of all large bodies, and of those of one client. It is safe for concurrent use.
type bodyBudget struct {
	free  *semaphore.Weighted
	share int64 // bytes for one client

	mu      sync.Mutex
	clients map[string]*clientRoom // that hold room or wait for it
}

// clientRoom is the room of one client.
type clientRoom struct {
	free *semaphore.Weighted
	uses int
}

// newBodyBudget returns a budget of total bytes. A client's share has room for at least largest bytes.
func newBodyBudget(total, largest int64) *bodyBudget {
	total = max(total, largest)
	return &bodyBudget{
		free:    semaphore.NewWeighted(total),
		share:   max(total/clientShare, largest),
		clients: make(map[string]*clientRoom),
	}
}

// acquire blocks until there is room for size bytes. It returns errNoRoom when ctx ends first. A client that waits for
// its own share does not delay others.
func (b *bodyBudget) acquire(ctx context.Context, client string, size int64) (release func(), err error) {
	return b.reserve(client, size, func(free *semaphore.Weighted) bool { return free.Acquire(ctx, size) == nil })
}

// tryAcquire is acquire without blocking. It also returns errNoRoom while other calls wait.
func (b *bodyBudget) tryAcquire(client string, size int64) (release func(), err error) {
	return b.reserve(client, size, func(free *semaphore.Weighted) bool { return free.TryAcquire(size) })
}

// reserve takes size bytes from the client's share, and then from the whole budget.
func (b *bodyBudget) reserve(
	client string, size int64, from func(*semaphore.Weighted) bool,
) (release func(), err error) {
	own := b.enter(client)
	if !from(own.free) {
		b.leave(client, own)
		return nil, errNoRoom
	}
	giveBack := func() {
		own.free.Release(size)
		b.leave(client, own)
	}
	if !from(b.free) {
		giveBack()
		return nil, errNoRoom
	}
	return func() {
		b.free.Release(size)
		giveBack()
	}, nil
}

// enter returns the room of a client. It is kept until leave was called as often as enter.
func (b *bodyBudget) enter(client string) *clientRoom {
	b.mu.Lock()
	defer b.mu.Unlock()
	own, known := b.clients[client]
	if !known {
		own = &clientRoom{free: semaphore.NewWeighted(b.share)}
		b.clients[client] = own
	}
	own.uses++
	return own
}

func (b *bodyBudget) leave(client string, own *clientRoom) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if own.uses--; own.uses == 0 {
		delete(b.clients, client)
	}
}
