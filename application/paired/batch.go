package paired

import (
	"context"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/ports"
)

// batch sorts the messages that wait by what is done with them in one attempt.
type batch struct {
	unreadable []*arrival
	begin      []*arrival
	keep       []*arrival // their endpoint has no credit, or they cannot be begun now
	done       []*arrival // to be settled
	left       []*arrival // for the next attempt
	failure    error
}

// begin begins as many waiting messages as the credit allows. Those whose endpoint has no credit are kept in the store,
// where waiting costs nothing. It does not end with ctx, because what is begun must be handed out.
func (w *Work) begin(ctx context.Context, h *handout) error {
	ctx = context.WithoutCancel(ctx)
	all := w.takeWaiting()
	if len(all) == 0 {
		return nil
	}
	b := choose(h, all)
	w.reject(ctx, b)
	w.beginChosen(ctx, h, b)
	unkept, err := w.keep(ctx, b.keep)
	if err != nil {
		b.failure = err
	}
	w.settle(b.done)
	w.putBack(unkept)
	w.putBack(b.left)
	return b.failure
}

// choose sorts arrivals. The first one that exceeds count or bytes is left for later, with all that follow it.
func choose(h *handout, all []*arrival) *batch {
	b := &batch{}
	for i, a := range all {
		switch {
		case a.lost():
		case a.fault != nil:
			b.unreadable = append(b.unreadable, a)
		case !h.Fits(a.Request.Size()):
			b.left = append(b.left, all[i:]...)
			return b
		case h.Refuses(a.Request.Endpoint):
			b.keep = append(b.keep, a)
		default:
			h.Charge(a.Request.Endpoint, a.Request.Size())
			b.begin = append(b.begin, a)
		}
	}
	return b
}

// reject makes dead letters of what cannot be read.
func (w *Work) reject(ctx context.Context, b *batch) {
	for _, a := range b.unreadable {
		w.rejectOne(ctx, b, a, exchange.Rejected(&a.received, a.Request, a.fault))
	}
}

func (w *Work) rejectOne(ctx context.Context, b *batch, a *arrival, rejection ports.Rejection) {
	if err := w.store.Reject(ctx, rejection); err != nil {
		b.left, b.failure = append(b.left, a), err
		return
	}
	b.done = append(b.done, a)
}

func (w *Work) beginChosen(ctx context.Context, h *handout, b *batch) {
	if len(b.begin) == 0 {
		return
	}
	for i, begun := range w.work.Begin(ctx, portsOf(b.begin)) {
		a := b.begin[i]
		if begun.Err == nil && begun.Verdict == ports.BegunGo {
			w.hold(a, &begun.Delivery)
			h.deliveries = append(h.deliveries, begun.Delivery)
			continue
		}
		h.Return(a.Request.Endpoint, a.Request.Size())
		switch {
		case begun.Err != nil:
			b.left, b.failure = append(b.left, a), begun.Err
		case begun.Verdict == ports.BegunKeep:
			b.keep = append(b.keep, a)
		case begun.Verdict == ports.BegunIDUsed:
			w.rejectOne(ctx, b, a, exchange.IDUsed(&a.received, a.Request))
		default:
			b.done = append(b.done, a)
		}
	}
}

// hold remembers the message of a delivery until the delivery is finished.
func (w *Work) hold(a *arrival, d *ports.Delivery) {
	a.Request, a.received.Value = d.Request, nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[d.Token] = a
}
