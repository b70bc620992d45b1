package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/ports"
)

// relayEvery is how often a relay looks for what other processes left in the outboxes.
const relayEvery = time.Second

// relay tells others of final requests.
type relay struct {
	db       *DB
	outboxes []*outbox
	gone     rarely // requests that cannot be told of any more
	refused  rarely // tries that Redis refused
}

// outbox is that of a shard.
type outbox struct {
	reader

	shard *shard
}

// Relay adds to the stream Options.Responses a result message for every request that became final, and to
// Options.DeadLetterStream a message for every dead letter, each as the field "payload": at least once, also of what
// processes made final that died before they told. What is older than Options.Retention is trimmed. It blocks until ctx
// ends; while Redis is away it goes on trying, and with neither name set it only waits. Any number of processes may do
// so.
func (db *DB) Relay(ctx context.Context) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	r := &relay{db: db}
	if db.owed() != owedNothing {
		for _, s := range db.shards {
			r.outboxes = append(r.outboxes, &outbox{reader: newReader(db, s.outboxKey(), dontBlock), shard: s})
		}
	}
	var pause backoff
	for !db.ended(ctx) {
		more, err := r.round(ctx)
		switch {
		case err != nil:
			db.sleep(ctx, pause.next())
			continue
		case !more:
			r.wait(ctx)
		}
		pause.reset()
	}
	return nil
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

// round works off a part of every outbox, and reports whether there may be more. An outbox that fails does not hold up
// the others.
func (r *relay) round(ctx context.Context) (more bool, failure error) {
	for _, o := range r.outboxes {
		entries, err := o.next(ctx)
		r.db.report(ctx, err)
		if err == nil {
			err = r.payAll(ctx, o, entries)
		}
		if err != nil {
			failure = err
		}
		more = more || len(entries) == readAtOnce
	}
	return more, failure
}

// payAll pays what entries say, again and again if need be. What is left when ctx ends is taken over by another
// process.
func (r *relay) payAll(ctx context.Context, o *outbox, entries []redis.XMessage) error {
	later := make([]debt, len(entries))
	for i := range entries {
		later[i] = readDebt(&entries[i])
	}
	var pause backoff
	for len(later) > 0 && !r.db.ended(ctx) {
		var now []debt
		now, later = portion(later)
		for len(now) > 0 && !r.db.ended(ctx) {
			paid, unpaid := r.pay(context.WithoutCancel(ctx), o.shard, now)
			if err := o.settle(ctx, paid...); err != nil {
				return err
			}
			if now = unpaid; len(now) > 0 {
				r.db.sleep(ctx, pause.next())
			}
		}
	}
	return nil
}

// pay tells of the requests that debts name, and gives the places of those that are paid.
func (r *relay) pay(ctx context.Context, s *shard, debts []debt) (paid []string, unpaid []debt) {
	values, err := r.db.fetchOwed(ctx, s, debts)
	if err != nil {
		r.db.report(ctx, err)
		return nil, debts
	}
	sent := make([][]*redis.StringCmd, len(debts))
	pipe := r.db.client.Pipeline()
	for i := range debts {
		for _, t := range r.owed(&debts[i], &values[i]) {
			sent[i] = append(sent[i], pipe.XAdd(ctx, r.entry(t)))
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	var failure error
	for i := range debts {
		if err := firstError(sent[i]); err != nil {
			unpaid, failure = append(unpaid, debts[i]), translate(err)
		} else {
			paid = append(paid, debts[i].place)
		}
	}
	r.complain(failure, len(unpaid))
	return paid, unpaid
}

func firstError(commands []*redis.StringCmd) error {
	for _, c := range commands {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// complain tells why others are not told.
func (r *relay) complain(err error, waiting int) {
	if err != nil && r.refused.note(r.db.opts.Now()) > 0 {
		r.db.opts.Logger.Error("results and dead letters are not told yet", "waiting", waiting, "error", err)
	}
}

// entry is what is added to a stream.
func (r *relay) entry(t told) *redis.XAddArgs {
	args := &redis.XAddArgs{Stream: t.stream, Values: []any{payloadField, t.message}}
	if keep := r.db.opts.Retention; keep > 0 {
		args.MinID, args.Approx = strconv.FormatInt(r.db.opts.Now().Add(-keep).UnixMilli(), 10), true
	}
	return args
}
