package paired

import (
	"context"
	"time"
)

// offloadEvery is how often Run looks for crowded messages: well within the time that a broker reserves them.
const offloadEvery = time.Second

// Run moves crowded messages into the store while a worker is busy with them or has no room for them: they hold up
// others in the queue. It blocks until ctx ends.
func (w *Work) Run(ctx context.Context) error {
	ticker := time.NewTicker(offloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.offload(ctx, (*arrival).crowded) // what is not confirmed comes again the next time
		case <-ctx.Done():
			return nil
		}
	}
}

// Yield moves all that was received into the store and settles it: any worker may begin what waits, and what is begun
// stays with its holder until it finishes or its lease ends. A process calls it when it receives no more, before it
// leaves the queue, which would hand out again what is finished after that. It blocks for one or two round trips to the
// store. What is not confirmed stays in the queue.
func (w *Work) Yield(ctx context.Context) { w.offload(ctx, func(*arrival) bool { return true }) }

// offload keeps chosen messages in the store and settles them.
func (w *Work) offload(ctx context.Context, chosen func(*arrival) bool) {
	held, waiting := w.pick(chosen)
	_, _ = w.keep(ctx, held)
	unkept, _ := w.keep(ctx, waiting)
	w.putBack(unkept)
}

// pick returns the chosen messages. Those that wait do not wait any more then. A message that cannot be read stays:
// nobody can keep it.
func (w *Work) pick(chosen func(*arrival) bool) (held, waiting []*arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.held {
		if !a.settled && chosen(a) {
			held = append(held, a)
		}
	}
	all := w.waiting
	w.waiting = nil
	for _, a := range all {
		if a.fault == nil && chosen(a) {
			waiting = append(waiting, a)
		} else {
			w.waiting = append(w.waiting, a)
		}
	}
	return held, waiting
}
