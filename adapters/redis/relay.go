package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	relayEvery   = time.Second // looks for what other processes left in the outboxes
	farewellTime = time.Second // of the last round
)

// relay tells others of final requests.
type relay struct {
	db       *DB
	outboxes []*outbox
	gone     rarely // requests that cannot be told of any more
	refused  rarely // tries that Redis refused
}

// Relay adds to the stream Options.Responses a result message for every request that became final, and to
// Options.DeadLetterStream a message for every dead letter, each as the field "payload": at least once, also of what
// processes made final that died before they told, or that have no such options. What is older than Options.Retention
// is trimmed. What became final before the first Relay ever told of its kind, or more than Options.Retention after the
// last one, is not told.
//
// It blocks until ctx ends, and at most about a second more, in which it tells what is left. While Redis is away it
// goes on trying, and with neither name set it only waits. Any number of processes may do so, and each leaves to others
// what it has no name for.
func (db *DB) Relay(ctx context.Context) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	r := &relay{db: db}
	for _, k := range db.kinds() {
		for _, s := range db.shards {
			r.outboxes = append(r.outboxes, newOutbox(db, s, k))
		}
	}
	for !db.ended(ctx) {
		if !r.round(ctx, context.WithoutCancel(ctx)) {
			r.wait(ctx)
		}
	}
	r.farewell(ctx)
	return nil
}

// farewell tells what is left when ctx has ended, so that it does not wait for another process.
func (r *relay) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTime)
	defer cancel()
	more := true
	for more && ctx.Err() == nil {
		more = r.round(ctx, ctx)
	}
}

// wait returns when there may be something to tell.
func (r *relay) wait(ctx context.Context) {
	var tick <-chan time.Time
	if len(r.outboxes) > 0 {
		timer := time.NewTimer(relayEvery)
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-r.db.finals:
	case <-tick:
	case <-ctx.Done():
	case <-r.db.ctx.Done():
	}
}

// round works off a part of every outbox, and reports whether there may be more. An outbox that fails is left alone for
// a while, and does not hold up the others. When until ends none is begun; ctx is for those that are.
func (r *relay) round(until, ctx context.Context) (more bool) {
	for _, o := range r.outboxes {
		if r.db.ended(until) {
			return more
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
	sent := make([]*redis.StringCmd, len(debts))
	pipe := r.db.client.Pipeline()
	for i := range debts {
		message, err := o.kind.message(debts[i].id, values[i].Val())
		if message == nil {
			r.lament(debts[i].id, err)
			continue
		}
		sent[i] = pipe.XAdd(ctx, r.entry(o.kind.stream, message))
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	for i := range debts {
		if sent[i] != nil && sent[i].Err() != nil {
			unpaid, failure = append(unpaid, debts[i]), translate(sent[i].Err())
		} else {
			paid = append(paid, debts[i])
		}
	}
	r.complain(failure, o.kind.stream, len(unpaid))
	return paid, unpaid, failure
}

// lament logs that there is no message for a request: its lifetime is over, somebody removed it, or it is damaged.
func (r *relay) lament(id domain.ID, err error) {
	if n := r.gone.note(r.db.opts.Now()); n > 0 {
		r.db.opts.Logger.Warn("requests are gone before others were told of them", "count", n, "correlation_id", id,
			"error", err)
	}
}

// complain tells why others are not told.
func (r *relay) complain(err error, stream string, waiting int) {
	if err != nil && r.refused.note(r.db.opts.Now()) > 0 {
		r.db.opts.Logger.Error("results and dead letters are not told yet", "stream", stream, "waiting", waiting,
			"error", err)
	}
}

// entry is what is added to a stream.
func (r *relay) entry(stream string, message []byte) *redis.XAddArgs {
	oldest := r.db.opts.Now().Add(-r.db.opts.Retention).UnixMilli()
	return &redis.XAddArgs{
		Stream: stream, MinID: strconv.FormatInt(oldest, 10), Approx: true, Values: []any{payloadField, message},
	}
}
