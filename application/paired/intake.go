// Package paired joins a queue that only carries messages with a store that keeps the records of requests, into
// ports.Intake and ports.Work. What is new and due goes through the queue. What is to wait for anything but its turn
// (a delay, a retry, an endpoint without credit, a worker that may have died) is kept whole in the store, which hands
// it out by itself; its message is let go.
package paired

import (
	"context"
	"errors"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// Intake takes requests in: first the record, then the message. It implements ports.Intake.
type Intake struct {
	queue   ports.Publisher
	store   ports.Store
	now     func() time.Time
	flights flights
	closure closure
}

var _ ports.Intake = (*Intake)(nil)

// NewIntake makes an Intake.
func NewIntake(queue ports.Publisher, store ports.Store, now func() time.Time) *Intake {
	return &Intake{
		queue: queue, store: store, now: now,
		flights: flights{byID: make(map[domain.ID]*flight)}, closure: closure{now: now},
	}
}

// Cancel ends a request that nobody has begun. Whoever gets its message finds that out.
func (in *Intake) Cancel(ctx context.Context, id domain.ID) (domain.Record, error) {
	return in.store.Cancel(ctx, id)
}

// Accept makes records and publishes messages. What the queue does not confirm is an error, but its record stays, since
// the message may be there: a repeat with the same idempotency key publishes it again.
func (in *Intake) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	if err := in.closure.refuse(); err != nil {
		return refused(reqs, err)
	}
	now := in.now()
	creations := make([]ports.Creation, len(reqs))
	for i := range reqs {
		creations[i] = ports.Creation{Request: reqs[i], Carried: carriable(&reqs[i], now)}
	}
	answers := make([]ports.Accepted, len(reqs))
	var all []publication
	for i, created := range in.store.Create(ctx, creations) {
		answers[i] = created.Accepted
		if created.Err == nil && created.Unpublished {
			all = append(all, publication{Creation: creations[i], index: i})
			all[len(all)-1].Request.ID = created.Record.ID // of the earlier request, if this is a repeat
		}
	}
	in.publish(ctx, all)
	for i := range all {
		if err := all[i].err; err != nil {
			answers[all[i].index] = ports.Accepted{Err: err}
		}
	}
	return answers
}

func refused(reqs []domain.Request, err error) []ports.Accepted {
	answers := make([]ports.Accepted, len(reqs))
	for i := range answers {
		answers[i].Err = err
	}
	return answers
}

// carriable tells what is for the queue: it is due, and a message can tell all of it.
func carriable(r *domain.Request, now time.Time) bool {
	return !r.NotBefore.After(now) && len(r.Body) <= envelope.MaxInlineBody && envelope.Faithful(r)
}

// publication is a request on its way into the queue.
type publication struct {
	ports.Creation

	index  int // in Accept
	flight *flight
	err    error
}

// publish publishes each request once, however many callers want that at the same time.
func (in *Intake) publish(ctx context.Context, all []publication) {
	var own, joined []*publication
	for i := range all {
		p := &all[i]
		if p.Request.Idempotency == nil {
			own = append(own, p)
			continue
		}
		var first bool
		if p.flight, first = in.flights.join(p.Request.ID); first {
			own = append(own, p)
		} else {
			joined = append(joined, p)
		}
	}
	if len(own) > 0 {
		in.send(ctx, own)
	}
	for _, p := range own {
		if p.flight != nil {
			in.flights.land(p.Request.ID, p.flight, p.err)
		}
	}
	for _, p := range joined {
		p.err = p.flight.wait(ctx)
	}
}

// send publishes, and notes what the queue has. What is too large for a message is kept in the store.
func (in *Intake) send(ctx context.Context, all []*publication) {
	var carried, kept, noted []*publication
	var messages []ports.QueueMessage
	for _, p := range all {
		if !p.Carried {
			kept = append(kept, p)
			continue
		}
		carried = append(carried, p)
		messages = append(messages, messageOf(&p.Request))
	}
	if len(carried) > 0 {
		begun := in.now()
		errs := in.queue.Publish(ctx, messages)
		in.closure.note(ctx, begun, errs)
		for i, err := range errs {
			p := carried[i]
			p.err = err
			switch {
			case errors.Is(err, ports.ErrTooLarge):
				kept = append(kept, p)
			case err == nil && p.Request.Idempotency != nil:
				noted = append(noted, p)
			}
		}
	}
	in.keep(ctx, kept)
	in.note(ctx, noted)
}

func messageOf(r *domain.Request) ports.QueueMessage {
	return ports.QueueMessage{
		ID: r.ID, Lane: r.Lane(), Value: envelope.Append(nil, &envelope.Message{Request: *r}),
	}
}

func (in *Intake) keep(ctx context.Context, all []*publication) {
	if len(all) == 0 {
		return
	}
	arrivals := make([]ports.Arrival, len(all))
	for i, p := range all {
		arrivals[i] = ports.Arrival{Request: p.Request}
	}
	for i, err := range in.store.Keep(ctx, arrivals) {
		all[i].err = err
	}
}

// note tells the store what the queue has. Where that fails, a repeat publishes it once more, and the store tells the
// two messages apart: nothing is the worse for it.
func (in *Intake) note(ctx context.Context, all []*publication) {
	if len(all) == 0 {
		return
	}
	reqs := make([]domain.Request, len(all))
	for i, p := range all {
		reqs[i] = p.Request
	}
	_ = in.store.Published(ctx, reqs)
}
