package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// queue is a ports.Work in memory that keeps the contract and remembers what it was asked for. For one
// receiver, inside a synctest bubble.
type queue struct {
	// finish answers a Finish; nil: everything is saved.
	finish func(ctx context.Context, finishes []ports.Finish) []error
	// returns: what is handed back is ready again, in its place.
	returns bool
	// late is handed out when the receiver's context ends.
	late []ports.Delivery

	mu      sync.Mutex
	ready   []ports.Delivery
	back    []ports.Delivery // handed back, and ready before the others
	wake    chan struct{}
	broken  chan error
	out     map[string]ports.Delivery // that are handed out, by token
	mostOut int
	credits []ports.Credit
	groups  [][]ports.Finish // one for each Finish
	saved   map[domain.ID]domain.Outcome
}

func newQueue(deliveries ...ports.Delivery) *queue {
	return &queue{
		ready: deliveries, wake: make(chan struct{}, 1), broken: make(chan error, 1),
		out: make(map[string]ports.Delivery), saved: make(map[domain.ID]domain.Outcome),
	}
}

// add makes deliveries ready.
func (q *queue) add(deliveries ...ports.Delivery) {
	q.mu.Lock()
	q.ready = append(q.ready, deliveries...)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	q.mu.Lock()
	q.credits = append(q.credits, credit)
	q.mu.Unlock()
	for {
		if deliveries := q.take(credit); len(deliveries) > 0 {
			return deliveries, nil
		}
		select {
		case <-q.wake:
		case err := <-q.broken:
			return nil, err
		case <-ctx.Done():
			q.add(q.late...)
			q.late = nil
			if deliveries := q.take(credit); len(deliveries) > 0 {
				return deliveries, nil
			}
			return nil, ctx.Err()
		}
	}
}

// take hands out what the credit allows; the first delivery whatever its size.
func (q *queue) take(credit ports.Credit) []ports.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	slices.SortFunc(q.back, func(a, b ports.Delivery) int { return strings.Compare(a.Token, b.Token) })
	q.ready, q.back = slices.Concat(q.back, q.ready), nil
	n := 0
	for room := credit.Bytes; n < min(len(q.ready), credit.Count); n++ {
		if room -= q.ready[n].Request.Size(); room < 0 && n > 0 {
			break
		}
	}
	taken := q.ready[:n:n]
	q.ready = q.ready[n:]
	for _, d := range taken {
		q.out[d.Token] = d
	}
	q.mostOut = max(q.mostOut, len(q.out))
	return taken
}

func (q *queue) Finish(ctx context.Context, finishes []ports.Finish) []error {
	q.mu.Lock()
	q.groups = append(q.groups, finishes)
	q.mu.Unlock()
	errs := make([]error, len(finishes))
	if q.finish != nil {
		errs = q.finish(ctx, finishes)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, f := range finishes {
		if errs[i] != nil {
			continue
		}
		if q.returns && f.Outcome.Status == domain.Pending {
			d := q.out[f.Token]
			d.Deliveries = f.Outcome.Deliveries + 1
			q.back = append(q.back, d)
		}
		delete(q.out, f.Token)
		q.saved[f.ID] = f.Outcome
	}
	return errs
}

// outcomes are what was saved so far.
func (q *queue) outcomes() map[domain.ID]domain.Status {
	q.mu.Lock()
	defer q.mu.Unlock()
	statuses := make(map[domain.ID]domain.Status, len(q.saved))
	for id, out := range q.saved {
		statuses[id] = out.Status
	}
	return statuses
}

func (q *queue) outcome(id domain.ID) domain.Outcome {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.saved[id]
}

func (q *queue) asked() []ports.Credit {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.credits
}

// finished are the ids of every Finish so far.
func (q *queue) finished() [][]domain.ID {
	q.mu.Lock()
	defer q.mu.Unlock()
	groups := make([][]domain.ID, len(q.groups))
	for i, group := range q.groups {
		for _, f := range group {
			groups[i] = append(groups[i], f.ID)
		}
	}
	return groups
}

// finish is a store that saves when it is let through.
func (g gate) finish(ctx context.Context, finishes []ports.Finish) []error {
	g.pass(ctx)
	return make([]error, len(finishes))
}

// outage is a store that is away while it is set.
type outage struct{ atomic.Bool }

func (o *outage) finish(_ context.Context, finishes []ports.Finish) []error {
	if o.Load() {
		return unavailable(finishes)
	}
	return make([]error, len(finishes))
}

func unavailable(finishes []ports.Finish) []error {
	errs := make([]error, len(finishes))
	for i := range errs {
		errs[i] = fmt.Errorf("%w: connection refused", ports.ErrUnavailable)
	}
	return errs
}

// lose is a store that says ErrLost of the ids that begin so, and saves the others.
func lose(prefix string) func(context.Context, []ports.Finish) []error {
	return func(_ context.Context, finishes []ports.Finish) []error {
		errs := make([]error, len(finishes))
		for i, f := range finishes {
			if strings.HasPrefix(string(f.ID), prefix) {
				errs[i] = fmt.Errorf("fenced: %w", ports.ErrLost)
			}
		}
		return errs
	}
}
