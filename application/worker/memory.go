package worker

import (
	"container/list"
	"context"
	"sync"

	"github.com/openhqm/openhqm/ports"
)

// memory bounds the large responses that are held at once. Whoever waits does so in turn, so that a large one is not
// passed by for ever. Each call asks once and holds nothing while it waits: calls cannot block each other.
//
// Endpoints share it as they share the bytes of requests (see account): one that holds as much as is free lets the
// others pass. So a backend that begins answers and does not end them keeps nobody else waiting.
type memory struct {
	mu      sync.Mutex
	size    int64
	free    int64
	held    map[string]int64 // by endpoint; nil where one endpoint has all to itself
	waiting list.List        // of *request
}

type request struct {
	endpoint string
	bytes    int64
	granted  chan struct{} // closed with the bytes taken
}

func newMemory(opts Options) *memory {
	m := &memory{size: opts.MaxBytes, free: opts.MaxBytes}
	if len(opts.Known) > 1 {
		m.held = make(map[string]int64, len(opts.Known))
	}
	return m
}

// reserve blocks until there are n bytes for the endpoint. To be called with no more than there are at all.
func (m *memory) reserve(ctx context.Context, endpoint string, n int64) error {
	r := &request{endpoint: endpoint, bytes: n, granted: make(chan struct{})}
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
		m.take(endpoint, -n)
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
	m.take(endpoint, -n)
	m.grant()
}

// take gives bytes to an endpoint, or takes them back. Called with mu held.
func (m *memory) take(endpoint string, n int64) {
	m.free -= n
	if m.held == nil {
		return
	}
	if m.held[endpoint] += n; m.held[endpoint] == 0 {
		delete(m.held, endpoint)
	}
}

// grant serves those who wait, in turn but for endpoints that hold their share. Called with mu held.
func (m *memory) grant() {
	for place := m.waiting.Front(); place != nil; {
		r, _ := place.Value.(*request)
		next := place.Next()
		if m.held == nil || m.held[r.endpoint] < m.free {
			if m.free < r.bytes {
				return
			}
			m.take(r.endpoint, r.bytes)
			m.waiting.Remove(place)
			close(r.granted)
		}
		place = next
	}
}

// reservation is what one call holds.
type reservation struct {
	memory   *memory
	endpoint string
	held     int64
}

var _ ports.Reserve = (*reservation)(nil).take

// take is the call's ports.Reserve.
func (r *reservation) take(ctx context.Context, n int64) error {
	n = min(n, r.memory.size)
	err := r.memory.reserve(ctx, r.endpoint, n)
	if err == nil {
		r.held += n
	}
	return err
}
