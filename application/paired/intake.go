// Package paired joins a carrier with a store into ports.Intake, ports.Work and ports.Gauge. What is new and due goes
// through the carrier. What waits for anything but its turn (a delay, a retry, an endpoint without credit, a worker
// that may have died) is kept whole in the store, which hands it out by itself; its message is settled.
package paired

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// Intake accepts requests: first the record, then the message. It implements ports.Intake.
type Intake struct {
	queue      ports.Publisher
	store      ports.Store
	now        func() time.Time
	duplicates duplicates
	admission  admission
}

var _ ports.Intake = (*Intake)(nil)

// NewIntake returns an Intake that publishes to queue and keeps records in store.
func NewIntake(queue ports.Publisher, store ports.Store, now func() time.Time) *Intake {
	return &Intake{
		queue: queue, store: store, now: now,
		duplicates: duplicates{byID: make(map[domain.ID]*publishing)}, admission: admission{now: now},
	}
}

// Cancel ends a request that no worker has begun. Whoever receives its message finds that out.
func (in *Intake) Cancel(ctx context.Context, id domain.ID) (domain.Record, error) {
	return in.store.Cancel(ctx, id)
}

// Accept makes records and publishes messages. What the queue does not confirm is an error, but its record stays, since
// the message may be there: a repeat with the same idempotency key publishes it again.
func (in *Intake) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	if err := in.admission.check(); err != nil {
		return refused(reqs, err)
	}
	now := in.now()
	creations := make([]ports.Creation, len(reqs))
	for i := range reqs {
		creations[i] = ports.Creation{Request: reqs[i], Carried: carriable(&reqs[i], now)}
	}
	answers := make([]ports.Accepted, len(reqs))
	var all []*publication
	for i, created := range in.store.Create(ctx, creations) {
		answers[i] = created.Accepted
		if created.Err == nil && created.Unpublished {
			creations[i].Request.ID = created.Record.ID // of the earlier request, if this is a repeat
			all = append(all, &publication{Creation: &creations[i], index: i})
		}
	}
	in.publish(ctx, all)
	late := in.now().Sub(now) > confirmWithin
	for _, p := range all {
		if p.err == nil && late {
			p.err = errLate
		}
		if p.err != nil {
			answers[p.index] = ports.Accepted{Err: p.err}
		}
	}
	return answers
}

// errLate: Losses may have ended the request before its message came.
var errLate = fmt.Errorf("%w: not confirmed within %s", ports.ErrUnavailable, confirmWithin)

func refused(reqs []domain.Request, err error) []ports.Accepted {
	answers := make([]ports.Accepted, len(reqs))
	for i := range answers {
		answers[i].Err = err
	}
	return answers
}

// carriable reports whether a request is for the queue: it is due, and a message can hold all of it.
func carriable(r *domain.Request, now time.Time) bool {
	return !r.NotBefore.After(now) && len(r.Body) <= envelope.MaxInlineBody && envelope.Faithful(r)
}

// publication is a request on its way into the queue.
type publication struct {
	*ports.Creation

	index  int         // in Accept
	shared *publishing // with an idempotency key
	err    error
}

// publish publishes each request once, however many callers want that at the same time.
func (in *Intake) publish(ctx context.Context, all []*publication) {
	var own, joined []*publication
	for _, p := range all {
		first := true
		if p.Request.Idempotency != nil {
			p.shared, first = in.duplicates.join(p.Request.ID)
		}
		if first {
			own = append(own, p)
		} else {
			joined = append(joined, p)
		}
	}
	if len(own) > 0 {
		in.send(ctx, own)
	}
	for _, p := range own {
		if p.shared != nil {
			in.duplicates.end(p.Request.ID, p.shared, p.err)
		}
	}
	for _, p := range joined {
		p.err = p.shared.wait(ctx)
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
		in.admission.note(ctx, begun, errs)
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

// note notes in the store what the queue has. Where that fails a repeat publishes a second message, which the store
// recognizes: no harm is done.
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
