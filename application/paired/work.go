package paired

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Work hands out what the queue carries and what the store holds. It implements ports.Work.
type Work struct {
	reader *exchange.Reader
	queue  ports.Receiver
	store  ports.Store
	work   ports.StoreWork

	mu      sync.Mutex
	waiting []*arrival          // received and not begun, in their order
	held    map[string]*arrival // begun and not finished, by token
}

var _ ports.Work = (*Work)(nil)

// NewWork returns a Work that lives as long as work, which is a consumer of the store. Run must run meanwhile. What the
// reader cannot read becomes a dead letter.
func NewWork(reader *exchange.Reader, queue ports.Receiver, store ports.Store, work ports.StoreWork) *Work {
	return &Work{reader: reader, queue: queue, store: store, work: work, held: make(map[string]*arrival)}
}

// Receive hands out what is ready.
func (w *Work) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	var pause outage.Backoff
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h := newHandout(credit)
		err := w.attempt(ctx, h)
		switch {
		case len(h.deliveries) > 0:
			return h.deliveries, nil
		case errors.Is(err, ports.ErrClosed):
			return nil, err
		case err != nil:
			pause.Wait(ctx)
		default:
			pause.Reset()
		}
	}
}

// stuckFor is how long messages that could not be begun wait at most before they are tried again.
const stuckFor = time.Second

// attempt blocks until there is something to look at. That may turn out to be nothing to hand out. Messages that wait
// here go first, then the store's requests, then what the queue hands out meanwhile. So neither the queue nor the store
// holds up the other for ever: what the queue handed out beyond the credit waits here. Messages that cannot be begun at
// the moment hold up nothing either, because their number is bounded.
func (w *Work) attempt(ctx context.Context, h *handout) error {
	if w.waits() == 0 {
		return w.await(ctx, h)
	}
	err := w.begin(ctx, h)
	switch {
	case h.Left().Count <= 0 || h.Left().Bytes <= 0:
		return nil
	case err == nil || len(h.deliveries) > 0:
		return h.add(w.work.Take(ctx, h.Left()))
	case w.waits() >= maxBatch:
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stuckFor)
	defer cancel()
	return w.await(ctx, h)
}

// waits returns how many messages were received and are not begun.
func (w *Work) waits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

// await blocks until the queue or the store has something, and adds what both have by then. Whichever answers first
// ends the Receive of the other, which loses nothing by that.
func (w *Work) await(ctx context.Context, h *handout) error {
	either, stop := context.WithCancel(ctx)
	defer stop()
	var received []ports.Received
	var queueErr error
	var listening sync.WaitGroup
	left := h.Left()
	listening.Go(func() {
		defer stop()
		received, queueErr = w.queue.Receive(either, left.Count, left.Bytes)
	})
	storeErr := w.fromStore(either, h)
	stop()
	listening.Wait()
	w.add(received)
	return errors.Join(storeErr, closed(queueErr), w.begin(ctx, h))
}

// fromStore adds what the store has, and blocks until it has something or ctx ends.
func (w *Work) fromStore(ctx context.Context, h *handout) error {
	err := h.add(w.work.Take(ctx, h.Left()))
	if err != nil || len(h.deliveries) > 0 {
		return err
	}
	return closed(h.add(w.work.Receive(ctx, h.Left())))
}

// closed returns err if it matches ErrClosed, else nil: a Receive keeps trying after other errors, or its context
// ended.
func closed(err error) error {
	if errors.Is(err, ports.ErrClosed) {
		return err
	}
	return nil
}

// Finish saves outcomes, and then settles the messages. A request that the queue carries is passed to the store with
// its outcome, because the store may have to keep it from now on.
func (w *Work) Finish(ctx context.Context, finishes []ports.Finish) []error {
	whole := make([]ports.Finish, len(finishes))
	carried := make([]*arrival, len(finishes))
	w.mu.Lock()
	for i, f := range finishes {
		if a := w.held[f.Token]; a != nil && a.Request.ID == f.ID {
			carried[i], f.Original = a, &a.Request
		}
		whole[i] = f
	}
	w.mu.Unlock()
	errs := w.work.Finish(ctx, whole)
	var done, lost []*arrival
	w.mu.Lock()
	for i, a := range carried {
		switch {
		case a == nil || errs[i] != nil && !errors.Is(errs[i], ports.ErrLost):
			continue
		case errs[i] == nil:
			done = append(done, a)
		default:
			lost = append(lost, a)
		}
		delete(w.held, finishes[i].Token)
	}
	w.mu.Unlock()
	w.settle(done)
	w.abandon(ctx, lost)
	return errs
}

// abandon saves in the store what another worker holds by now. That worker may have no message of its own, so the store
// must have the request before our message is settled.
func (w *Work) abandon(ctx context.Context, lost []*arrival) {
	unkept, _ := w.keep(ctx, lost)
	w.putBack(unkept)
}
