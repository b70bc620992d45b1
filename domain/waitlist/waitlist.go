// Package waitlist wakes the goroutines of this process that wait for a request to change.
package waitlist

import (
	"sync"

	"github.com/openhqm/openhqm/domain"
)

// List holds who waits, by request. The zero value is ready. It is safe for concurrent use.
type List struct {
	mu   sync.Mutex
	byID map[domain.ID]map[chan struct{}]struct{}
}

// Add registers the caller for the request. A value on changed means that it may have changed since: look again.
// Several wake-ups may become one, but none that comes after Add is lost. The caller calls leave when it stops waiting.
func (l *List) Add(id domain.ID) (changed <-chan struct{}, leave func()) {
	ch := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = make(map[domain.ID]map[chan struct{}]struct{})
	}
	if l.byID[id] == nil {
		l.byID[id] = make(map[chan struct{}]struct{})
	}
	l.byID[id][ch] = struct{}{}
	return ch, func() { l.remove(id, ch) }
}

func (l *List) remove(id domain.ID, ch chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID[id], ch)
	if len(l.byID[id]) == 0 {
		delete(l.byID, id)
	}
}

// Wake wakes those who wait for these requests. It does not block.
func (l *List) Wake(ids ...domain.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		wake(l.byID[id])
	}
}

// WakeAll wakes everybody, for when a change may have been missed. It does not block.
func (l *List) WakeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, waiting := range l.byID {
		wake(waiting)
	}
}

func wake(waiting map[chan struct{}]struct{}) {
	for ch := range waiting {
		select {
		case ch <- struct{}{}:
		default: // it has not looked yet since the last wake-up
		}
	}
}
