package worker

import (
	"container/list"
	"context"
	"sync"

	"github.com/openhqm/openhqm/ports"
)

// memory bounds the bytes of large responses that are held at once. Calls wait for it in turn, so that a large response
// is not overtaken for ever. Each call asks once and holds nothing while it waits, so that calls cannot deadlock.
//
// Endpoints share it as they share the bytes of requests (see capacity): while an endpoint holds as much as is free,
// the others go first. So a backend that does not end its responses delays no other.
type memory struct {
	mu      sync.Mutex
	size    int64
	free    int64
	held    map[string]int64 // by endpoint
	shared  bool             // there is more than one endpoint
	waiting list.List        // of *claim
}

// claim is a call that waits for memory.
type claim struct {
	endpoint string
	bytes    int64
	granted  chan struct{} // closed when the bytes are charged
}

func newMemory(opts Options) *memory {
	return &memory{
		size: opts.MaxBytes, free: opts.MaxBytes,
		held: make(map[string]int64, len(opts.Known)), shared: len(opts.Known) > 1,
	}
}

// share says whether there is more than one endpoint from now on.
func (m *memory) share(shared bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shared = shared
	m.grant()
}

// reserve blocks until n bytes are free for the endpoint, and charges them. N is at most size.
func (m *memory) reserve(ctx context.Context, endpoint string, n int64) error {
	r := &claim{endpoint: endpoint, bytes: n, granted: make(chan struct{})}
	m.mu.Lock()
	place := m.waiting.PushBack(r)
	m.grant()
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
		m.charge(endpoint, -n)
	default:
		m.waiting.Remove(place)
	}
	m.grant()
	return ctx.Err()
}

func (m *memory) release(endpoint string, n int64) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.charge(endpoint, -n)
	m.grant()
}

// charge changes the number of bytes that an endpoint holds by n. The caller holds mu.
func (m *memory) charge(endpoint string, n int64) {
	m.free -= n
	if m.held[endpoint] += n; m.held[endpoint] == 0 {
		delete(m.held, endpoint)
	}
}

// grant serves the waiting calls in turn, except those of endpoints that hold their share. The caller holds mu.
func (m *memory) grant() {
	for place := m.waiting.Front(); place != nil; {
		r, _ := place.Value.(*claim)
		next := place.Next()
		if !m.shared || m.held[r.endpoint] < m.free {
			if m.free < r.bytes {
				return
			}
			m.charge(r.endpoint, r.bytes)
			m.waiting.Remove(place)
			close(r.granted)
		}
		place = next
	}
}

// reservation is the memory that one call holds.
type reservation struct {
	memory   *memory
	endpoint string
	held     int64
}

var _ ports.Reserve = (*reservation)(nil).reserve

// reserve is the call's ports.Reserve.
func (r *reservation) reserve(ctx context.Context, n int64) error {
	n = min(n, r.memory.size)
	err := r.memory.reserve(ctx, r.endpoint, n)
	if err == nil {
		r.held += n
	}
	return err
}
