package worker

import (
	"container/list"
	"context"
	"sync"

	"github.com/openhqm/openhqm/ports"
)

// memory bounds the large responses that are held at once. Whoever waits does so in turn, so that a large one is not
// passed by for ever. Each call asks once and holds nothing while it waits: calls cannot block each other.
type memory struct {
	mu      sync.Mutex
	size    int64
	free    int64
	waiting list.List // of *request
}

type request struct {
	bytes   int64
	granted chan struct{} // closed with the bytes taken
}

func newMemory(size int64) *memory { return &memory{size: size, free: size} }

// reserve blocks until there are n bytes, or all there are if n is more.
func (m *memory) reserve(ctx context.Context, n int64) error {
	m.mu.Lock()
	if m.waiting.Len() == 0 && m.free >= n {
		m.free -= n
		m.mu.Unlock()
		return nil
	}
	r := &request{bytes: n, granted: make(chan struct{})}
	place := m.waiting.PushBack(r)
	m.mu.Unlock()
	select {
	case <-r.granted:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-r.granted: // at the same moment
		m.free += n
	default:
		m.waiting.Remove(place)
	}
	m.grant()
	return ctx.Err()
}

func (m *memory) release(n int64) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free += n
	m.grant()
}

// grant serves those who wait, in turn. Called with mu held.
func (m *memory) grant() {
	for first := m.waiting.Front(); first != nil; first = m.waiting.Front() {
		r, _ := first.Value.(*request)
		if m.free < r.bytes {
			return
		}
		m.free -= r.bytes
		m.waiting.Remove(first)
		close(r.granted)
	}
}

// reservation is what one call holds.
type reservation struct {
	memory *memory
	held   int64
}

var _ ports.Reserve = (*reservation)(nil).take

// take is the call's ports.Reserve.
func (r *reservation) take(ctx context.Context, n int64) error {
	n = min(n, r.memory.size)
	err := r.memory.reserve(ctx, n)
	if err == nil {
		r.held += n
	}
	return err
}
