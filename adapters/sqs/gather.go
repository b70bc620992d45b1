package sqs

import (
	"context"
	"slices"
	"sync"
)

// maxParallel is how many requests of one kind may be under way to one queue, so that a far service is no slow one.
const maxParallel = 8

// gatherer makes requests of items that come one by one. A request that can hold no more goes at once, as long as not
// too many are under way; one with room only when none is, and meanwhile the next gathers. It is safe for concurrent
// use.
type gatherer[T any] struct {
	loops *sync.WaitGroup
	fit   func(waiting []T) int       // how many of the first go into one request; at least one
	send  func(items []T) (again []T) // blocks; what it gives back goes first in the next request
	mu    sync.Mutex
	items []T
	busy  int           // requests under way
	ended bool          // nothing is taken any more
	empty chan struct{} // closed and forgotten when nothing is left; nil: nobody waits for that
}

// put takes items; false when it has ended.
func (g *gatherer[T]) put(items ...T) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return false
	}
	g.items = append(g.items, items...)
	g.start()
	return true
}

// start begins as many requests as it may. Called with mu held.
func (g *gatherer[T]) start() {
	for len(g.items) > 0 && g.busy < maxParallel {
		n := g.fit(g.items)
		if full := n == maxBatch || n < len(g.items); !full && g.busy > 0 {
			break
		}
		taken := slices.Clone(g.items[:n])
		clear(g.items[:n]) // the array may live for long
		g.items = g.items[n:]
		g.busy++
		g.loops.Go(func() { g.finish(g.send(taken)) })
	}
	if len(g.items) == 0 && g.busy == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// finish ends a request.
func (g *gatherer[T]) finish(again []T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	if len(again) > 0 {
		g.items = append(again, g.items...)
	}
	g.start()
}

// end lets nothing more in.
func (g *gatherer[T]) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
}

// drain waits until everything is sent, or ctx ends. One caller at a time may wait.
func (g *gatherer[T]) drain(ctx context.Context) {
	g.mu.Lock()
	empty := make(chan struct{})
	g.empty = empty
	g.start()
	g.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
