package paired

import (
	"context"
	"time"
)

// reliefEvery is how often messages are looked at that may hold others up: well within the time that a broker keeps
// what it holds back.
const reliefEvery = time.Second

// Run keeps in the store what holds up others in the queue while a worker is busy with it, or has no room for it. It
// blocks until ctx ends.
func (w *Work) Run(ctx context.Context) error {
	ticker := time.NewTicker(reliefEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.relieve(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// relieve does so once. What is not confirmed comes again the next time.
func (w *Work) relieve(ctx context.Context) {
	held, waiting := w.crowded()
	_, _ = w.keep(ctx, held)
	unkept, _ := w.keep(ctx, waiting)
	w.putBack(unkept)
}

// crowded gives what holds up others. What waits does not do so any more then.
func (w *Work) crowded() (held, waiting []*arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.held {
		if !a.settled && a.crowded() {
			held = append(held, a)
		}
	}
	all := w.waiting
	w.waiting = nil
	for _, a := range all {
		if a.fault == nil && a.crowded() {
			waiting = append(waiting, a)
		} else {
			w.waiting = append(w.waiting, a)
		}
	}
	return held, waiting
}
