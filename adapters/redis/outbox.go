package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
)

// A shard has an outbox for each kind of what others are told: a stream of the requests that they are still to be told
// of. The script that makes a request final, or ready for consumers of another broker, writes there in the same step,
// so that nothing is forgotten when a process dies before it tells. An entry names the request, and how many bytes have
// to be read for that.
//
// A ready request stays in the outbox until it is told or final. Whether another kind is owed is written in Redis by
// the processes that tell it, and does not depend on which process makes a request final. An outbox keeps its entries
// as long as a stream for others, and the note that it is owed is kept as long after the last of those processes has
// renewed it. Records and dead letters that are owed are kept as long too; once they are told, what is left of their
// own lifetime counts again.

// outbox is one of a shard.
type outbox struct {
	reader

	kind    kind
	shard   *shard
	debts   []debt    // that were read, and are not paid
	renewed time.Time // when it was last noted that they are owed
	pause   outage.Backoff
	retry   time.Time // when to try again what went wrong
}

func newOutbox(db *DB, s *shard, k kind) *outbox {
	return &outbox{reader: newReader(db, s.key+":outbox:"+k.name, dontBlock), kind: k, shard: s}
}

// renewEvery is how often it is noted that a kind is owed; Options.Retention is longer by far.
const renewEvery = time.Minute

// renew notes that this kind is owed: now and then, and when Redis has come back empty.
func (o *outbox) renew(ctx context.Context) error {
	now := o.db.opts.Now()
	if !o.kind.noted || !o.anew && now.Sub(o.renewed) < renewEvery {
		return nil
	}
	keep := o.db.opts.Retention
	if err := o.db.client.Set(ctx, o.shard.key+":told:"+o.kind.name, keep.Milliseconds(), keep).Err(); err != nil {
		return translate(err)
	}
	o.renewed, o.anew = now, false
	return nil
}

// debt is an entry of an outbox.
type debt struct {
	place string // in the outbox
	id    domain.ID
	bytes int64
	until int64 // the millisecond when what is read would be gone if it were not for the debt; 0: it is not kept for it
}

// fill reads debts, unless there are some. It reports whether there may be more.
func (o *outbox) fill(ctx context.Context) (more bool, err error) {
	if len(o.debts) > 0 {
		return true, nil
	}
	entries, err := o.next(ctx)
	for i := range entries {
		id, _ := entries[i].Values["id"].(string)
		size, _ := entries[i].Values["bytes"].(string)
		bytes, _ := strconv.ParseInt(size, 10, 64) // our own script wrote it
		until, _ := entries[i].Values["until"].(string)
		millis, _ := strconv.ParseInt(until, 10, 64) // as above; it may be empty
		o.debts = append(o.debts, debt{entries[i].ID, domain.ID(id), bytes, millis})
	}
	return len(entries) == readAtOnce, err
}

// portion cuts off as many debts as may be paid at once: at least one, and no more bytes than a pipeline may have.
func portion(debts []debt) (now, later []debt) {
	bytes := int64(0)
	for i := range debts {
		bytes += debts[i].bytes
		if i > 0 && bytes > maxGroupBytes {
			return debts[:i], debts[i:]
		}
	}
	return debts, nil
}

// fetch reads the values that debts are paid with, in one round trip.
func (o *outbox) fetch(ctx context.Context, debts []debt) ([]*redis.SliceCmd, error) {
	values := make([]*redis.SliceCmd, len(debts))
	pipe := o.db.client.Pipeline()
	for i := range debts {
		values[i] = pipe.HMGet(ctx, o.kind.hash(o.shard, debts[i].id), o.kind.fields...)
	}
	_, err := pipe.Exec(ctx)
	return values, translate(err)
}

// settle removes debts that are paid from the outbox. What was kept for them alone is gone when it would have been
// without them.
func (o *outbox) settle(ctx context.Context, paid []debt) error {
	if len(paid) == 0 {
		return nil
	}
	places := make([]string, len(paid))
	_, err := o.db.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range paid {
			places[i] = paid[i].place
			if paid[i].until > 0 {
				pipe.PExpireAt(ctx, o.kind.hash(o.shard, paid[i].id), time.UnixMilli(paid[i].until))
			}
		}
		o.remove(ctx, pipe, places)
		return nil
	})
	return translate(err)
}
