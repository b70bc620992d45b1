package httpapi

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"
)

// clientShare is the part of the budget that one client may hold: a quarter, so that one whose uploads stall leaves
// room for others.
const clientShare = 4

var errNoRoom = errors.New("too many large bodies are being received")

// bodyBudget bounds the memory of large bodies together, and of those of one client. It is safe for concurrent use.
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

// newBodyBudget makes a budget of total bytes, from which any client can have room for largest.
func newBodyBudget(total, largest int64) *bodyBudget {
	total = max(total, largest)
	return &bodyBudget{
		free:    semaphore.NewWeighted(total),
		share:   max(total/clientShare, largest),
		clients: make(map[string]*clientRoom),
	}
}

// acquire blocks until there is room for size bytes or ctx ends, which is errNoRoom. Whoever waits for its own share
// stands in nobody's way.
func (b *bodyBudget) acquire(ctx context.Context, client string, size int64) (release func(), err error) {
	return b.take(client, size, func(free *semaphore.Weighted) bool { return free.Acquire(ctx, size) == nil })
}

// tryAcquire is acquire without blocking: where somebody waits already, there is no room either.
func (b *bodyBudget) tryAcquire(client string, size int64) (release func(), err error) {
	return b.take(client, size, func(free *semaphore.Weighted) bool { return free.TryAcquire(size) })
}

// take takes size bytes from the share of the client, and then from all there is.
func (b *bodyBudget) take(
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

// enter finds or makes the room of a client, which stays until as many have left.
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
