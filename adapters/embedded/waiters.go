package embedded

import (
	"sync"

	"github.com/openhqm/openhqm/domain"
)

// waiters are those who wait for a request to become final.
type waiters struct {
	mu   sync.Mutex
	byID map[domain.ID]map[chan struct{}]struct{}
}

// add registers a waiter; the channel is closed when the request is final. leave must be called in the end.
func (w *waiters) add(id domain.ID) (final <-chan struct{}, leave func()) {
	ch := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID == nil {
		w.byID = make(map[domain.ID]map[chan struct{}]struct{})
	}
	if w.byID[id] == nil {
		w.byID[id] = make(map[chan struct{}]struct{})
	}
	w.byID[id][ch] = struct{}{}
	return ch, func() { w.remove(id, ch) }
}

func (w *waiters) remove(id domain.ID, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID[id], ch)
	if len(w.byID[id]) == 0 {
		delete(w.byID, id)
	}
}

func (w *waiters) wake(ids []domain.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		for ch := range w.byID[id] {
			close(ch)
		}
		delete(w.byID, id)
	}
}
