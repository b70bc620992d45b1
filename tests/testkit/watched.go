package testkit

import (
	"context"
	"sync"
)

// watched is a value that some goroutines change and others wait for. The zero value holds the zero value of T.
type watched[T any] struct {
	mu      sync.Mutex
	value   T
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// change runs f on the value and wakes everybody who waits.
func (w *watched[T]) change(f func(*T)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.value)
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// read runs f on the value.
func (w *watched[T]) read(f func(T)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.value)
}

// await blocks until found reports true of the value, or ctx ends. found is called under the lock, and once more when
// ctx has ended: what came before that counts.
func (w *watched[T]) await(ctx context.Context, found func(T) bool) error {
	for {
		w.mu.Lock()
		if found(w.value) {
			w.mu.Unlock()
			return nil
		}
		if ctx.Err() != nil {
			w.mu.Unlock()
			return ctx.Err()
		}
		if w.changed == nil {
			w.changed = make(chan struct{})
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
