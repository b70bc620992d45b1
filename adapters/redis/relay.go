package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

const (
	relayEvery     = time.Second // looks for what other processes left in the outboxes
	farewellTime   = time.Second // of what is told at the end
	publishTimeout = 30 * time.Second
)

// relay tells others of requests, of one kind.
type relay struct {
	db       *DB
	kind     kind
	outboxes []*outbox
	gone     outage.Rarely // requests that cannot be told of any more
	refused  outage.Rarely // tries that came to nothing
}

// Relay publishes a result message for every request that became final, and a message for every dead letter: on
// Options.Outlets, or in the streams Options.Responses and Options.DeadLetterStream, each as the field "payload". It
// does so at least once, also for what processes made final that died before they told, or that have no such options.
// What is older than Options.Retention is trimmed from those streams. What became final before the first Relay ever
// told of its kind, or more than Options.Retention after the last one, is not told. What an outlet does not take for
// its size is told by Options.ResultURL and Options.LetterURL.
//
// With Outlets.Requests it also publishes every ready request, at least once. One that is too large ends FAILED.
//
// It blocks until ctx ends, and for about a second more at most, in which it tells what is left. While Redis or an
// outlet is away it goes on trying, and with nobody to tell it only waits. Any number of processes may do so, and each
// leaves to others what it has no name for.
func (db *DB) Relay(ctx context.Context) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for _, life := range []context.Context{ctx, db.ctx} {
		stop := context.AfterFunc(life, func() { time.AfterFunc(farewellTime, cancel) })
		defer stop()
	}
	var relays sync.WaitGroup
	for _, k := range db.kinds() { // each by itself: one whose outlet hangs holds up no other
		relays.Go(func() { newRelay(db, k).run(ctx, lasting) })
	}
	relays.Wait()
	select {
	case <-ctx.Done():
	case <-db.ctx.Done():
	}
	return nil
}

func newRelay(db *DB, k kind) *relay {
	r := &relay{db: db, kind: k}
	for _, s := range db.shards {
		r.outboxes = append(r.outboxes, newOutbox(db, s, k))
	}
	return r
}

// run tells until ctx ends, and then what is left. What it has begun by then goes on until lasting ends.
func (r *relay) run(ctx, lasting context.Context) {
	for !r.db.over(ctx) {
		if !r.round(ctx, lasting) {
			r.wait(ctx)
		}
	}
	r.farewell(ctx)
}

// farewell tells what is left when ctx has ended, so that it does not wait for another process.
func (r *relay) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTime)
	defer cancel()
	for more := true; more; {
		more = r.round(ctx, ctx)
	}
}

// wait returns when there may be something to tell.
func (r *relay) wait(ctx context.Context) {
	timer := time.NewTimer(relayEvery)
	defer timer.Stop()
	select {
	case <-r.kind.news:
	case <-timer.C:
	case <-ctx.Done():
	case <-r.db.ctx.Done():
	}
}

// round works off a part of every outbox, and reports whether there may be more. An outbox that fails is left alone for
// a while, and does not hold up the others. When until ends none is begun; ctx is for those that are.
func (r *relay) round(until, ctx context.Context) (more bool) {
	for _, o := range r.outboxes {
		if r.db.over(until) {
			return false
		}
		now := r.db.opts.Now()
		if now.Before(o.retry) {
			continue
		}
		left, err := r.visit(ctx, o)
		if err != nil {
			o.retry = now.Add(o.pause.Next())
			continue
		}
		o.pause.Reset()
		more = more || left
	}
	return more
}

// visit pays a part of what an outbox has, and reports whether there may be more.
func (r *relay) visit(ctx context.Context, o *outbox) (more bool, err error) {
	more, err = o.fill(ctx)
	r.db.report(ctx, err)
	if err != nil {
		return false, err
	}
	renewing := o.renew(ctx)
	r.db.report(ctx, renewing)
	now, later := portion(o.debts)
	paid, unpaid, err := r.pay(ctx, o, now)
	if settling := o.settle(ctx, paid); settling != nil {
		return false, settling // all of it is paid again
	}
	o.debts = slices.Concat(unpaid, later)
	return more || len(later) > 0, errors.Join(renewing, err)
}

// pay tells of the requests that debts name, and says which are paid.
func (r *relay) pay(ctx context.Context, o *outbox, debts []debt) (paid, unpaid []debt, failure error) {
	if len(debts) == 0 {
		return nil, nil, nil
	}
	values, err := o.fetch(ctx, debts)
	r.db.report(ctx, err)
	if err != nil {
		return nil, debts, err
	}
	parcels := make([]*parcel, len(debts))
	for i := range debts {
		parcels[i] = &parcel{id: debts[i].id, values: values[i].Val()}
	}
	r.tell(ctx, parcels)
	for i, p := range parcels {
		if p.err == nil {
			paid = append(paid, debts[i])
		} else {
			unpaid, failure = append(unpaid, debts[i]), p.err
		}
	}
	r.complain(failure, len(unpaid))
	return paid, unpaid, failure
}

// parcel is what is told of one request.
type parcel struct {
	id     domain.ID
	values []any
	err    error // why it is to be told again
}

// tell publishes messages, each in the first form that is not too large.
func (r *relay) tell(ctx context.Context, left []*parcel) {
	for _, f := range r.kind.forms {
		if left = r.publish(ctx, f, left); len(left) == 0 {
			return
		}
	}
	for _, p := range left {
		p.err = r.kind.giveUp(ctx, p.id, p.err)
	}
}

// publish publishes messages in one form, and gives those that are too large.
func (r *relay) publish(ctx context.Context, f form, parcels []*parcel) (tooLarge []*parcel) {
	var sent []*parcel
	var messages []ports.QueueMessage
	for _, p := range parcels {
		value, err := f(p.id, p.values)
		if p.err = nil; value == nil {
			r.lament(p.id, err)
			continue
		}
		sent, messages = append(sent, p), append(messages, ports.QueueMessage{ID: p.id, Value: value})
	}
	if len(sent) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	for i, err := range r.kind.outlet.Publish(ctx, messages) {
		if sent[i].err = err; errors.Is(err, ports.ErrTooLarge) {
			tooLarge = append(tooLarge, sent[i])
		}
	}
	return tooLarge
}

// lament logs that there is no message for a request: its lifetime is over, somebody removed it, or it is damaged. One
// that needs none any more is no loss.
func (r *relay) lament(id domain.ID, err error) {
	if errors.Is(err, errOver) {
		return
	}
	if n := r.gone.Note(r.db.opts.Now()); n > 0 {
		r.db.opts.Logger.Warn("requests are gone before others were told of them", "kind", r.kind.name, "count", n,
			"correlation_id", id, "error", err)
	}
}

// complain tells why others are not told.
func (r *relay) complain(err error, waiting int) {
	if err != nil && r.refused.Note(r.db.opts.Now()) > 0 {
		r.db.opts.Logger.Error("others are not told yet", "kind", r.kind.name, "waiting", waiting, "error", err)
	}
}
