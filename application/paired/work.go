package paired

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Work hands out what the queue carries and what the store holds. It implements ports.Work.
type Work struct {
	reader envelope.Reader
	queue  ports.Receiver
	store  ports.Store
	work   ports.StoreWork

	mu      sync.Mutex
	waiting []*arrival          // received and not begun, in their order
	held    map[string]*arrival // begun and not finished, by token
}

var _ ports.Work = (*Work)(nil)

// NewWork makes a Work of a consumer of the store, and lives as long as that one. Run is to run meanwhile. What the
// reader cannot read becomes a dead letter.
func NewWork(reader envelope.Reader, queue ports.Receiver, store ports.Store, work ports.StoreWork) *Work {
	return &Work{reader: reader, queue: queue, store: store, work: work, held: make(map[string]*arrival)}
}

// Receive hands out what is ready.
func (w *Work) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	var pause outage.Backoff
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h := newHaul(credit)
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

// stuckFor is how long what could not be begun stays so at most before it is tried again.
const stuckFor = time.Second

// attempt blocks until there is something to look at, which may turn out to be nothing to hand out. What waits here
// goes first, then what the store has, then what the queue gives meanwhile: neither can hold the other up for ever,
// since what the queue gave too much of waits here. Nor does what cannot be begun at the moment, a bounded part of it.
func (w *Work) attempt(ctx context.Context, h *haul) error {
	if w.waits() == 0 {
		return w.await(ctx, h)
	}
	err := w.begin(ctx, h)
	switch {
	case h.left.Count <= 0 || h.left.Bytes <= 0:
		return nil
	case err == nil || len(h.deliveries) > 0:
		return h.take(w.work.Take(ctx, h.left))
	case w.waits() >= maxBatch:
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stuckFor)
	defer cancel()
	return w.await(ctx, h)
}

// waits tells how much was received and is not begun.
func (w *Work) waits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

// fetched is what the queue gave.
type fetched struct {
	received []ports.Received
	err      error
}

// await blocks until queue or store have something, and takes what both have by then. A Receive that is cut off loses
// nothing, and goes on trying while its broker is away: of its errors only one means something.
func (w *Work) await(ctx context.Context, h *haul) error {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	fromQueue := make(chan fetched, 1)
	count, bytes := h.left.Count, h.left.Bytes
	go func() {
		received, err := w.queue.Receive(listening, count, bytes)
		stop()
		fromQueue <- fetched{received, err}
	}()
	err := h.take(w.work.Take(ctx, h.left))
	if err == nil && len(h.deliveries) == 0 {
		err = closed(h.take(w.work.Receive(listening, h.left)))
	}
	stop()
	f := <-fromQueue
	w.add(f.received)
	return errors.Join(err, closed(f.err), w.begin(ctx, h))
}

func closed(err error) error {
	if errors.Is(err, ports.ErrClosed) {
		return err
	}
	return nil
}

// Finish saves outcomes, and then lets the messages go. What the queue carries of a request goes with its outcome: the
// store may have to hold it from now on.
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
	w.forsake(ctx, lost)
	return errs
}

// forsake gives up deliveries that belong to somebody else by now. Who that is may have no message of its own, so the
// store is to hold the request before this one goes.
func (w *Work) forsake(ctx context.Context, lost []*arrival) {
	unkept, _ := w.keep(ctx, lost)
	w.putBack(unkept)
}
