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
func (w *Work) relieve(ctx context.Context) { w.park(ctx, (*arrival).crowded) }

// Yield keeps in the store all that was received, and lets it go in the queue: what waits is begun by anybody, and what
// is held stays with its holder until it finishes or its lease ends. It is for a process that receives no more, before
// it leaves the queue, which would hand out once more what is finished after that. It blocks for one or two round trips
// to the store. What is not confirmed stays in the queue.
func (w *Work) Yield(ctx context.Context) { w.park(ctx, func(*arrival) bool { return true }) }

// park keeps in the store what it is to, and lets it go in the queue.
func (w *Work) park(ctx context.Context, is func(*arrival) bool) {
	held, waiting := w.split(is)
	_, _ = w.keep(ctx, held)
	unkept, _ := w.keep(ctx, waiting)
	w.putBack(unkept)
}

// split gives what is to be kept. What waits does not do so any more then. What cannot be read nobody can keep.
func (w *Work) split(is func(*arrival) bool) (held, waiting []*arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.held {
		if !a.settled && is(a) {
			held = append(held, a)
		}
	}
	all := w.waiting
	w.waiting = nil
	for _, a := range all {
		if a.fault == nil && is(a) {
			waiting = append(waiting, a)
		} else {
			w.waiting = append(w.waiting, a)
		}
	}
	return held, waiting
}
