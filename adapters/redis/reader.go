package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	payloadField = "payload" // of a stream entry: the message
	readAtOnce   = 64        // entries
	dontBlock    = -1
)

// reader reads a stream as one of many processes, with the consumer group that all of them share. Each entry is
// somebody's until it is settled; what a process had read that died is taken over after a lease.
type reader struct {
	db       *DB
	stream   string
	consumer string
	block    time.Duration // of a read when there is nothing; dontBlock: not at all
	claimed  time.Time     // when it last looked for what dead processes had read
}

func newReader(db *DB, stream string, block time.Duration) reader {
	return reader{db: db, stream: stream, consumer: consumerName(), block: block}
}

// run reads until ctx ends or the database is closed, and gives entries to take, which takes them in and settles them.
// While Redis is away it goes on trying. It ends about a second late, with a read that blocks.
func (r *reader) run(ctx context.Context, take func(ctx context.Context, entries []redis.XMessage) error) {
	var pause backoff
	for !r.db.ended(ctx) {
		entries, err := r.next(ctx)
		if err == nil && len(entries) > 0 {
			err = take(ctx, entries)
		}
		r.db.report(ctx, err)
		if err == nil {
			pause.reset()
			continue
		}
		r.db.sleep(ctx, pause.next())
	}
}

// ended reports whether a loop is over.
func (db *DB) ended(ctx context.Context) bool { return ctx.Err() != nil || db.ctx.Err() != nil }

// next gives what there is to take in. It makes the group when that is not there.
func (r *reader) next(ctx context.Context) ([]redis.XMessage, error) {
	entries, err := r.abandoned(ctx)
	if err == nil && len(entries) == 0 {
		entries, err = r.read(ctx)
	}
	if redis.HasErrorPrefix(err, "NOGROUP") {
		err = r.db.client.XGroupCreateMkStream(ctx, r.stream, group, "0").Err()
		if redis.HasErrorPrefix(err, "BUSYGROUP") {
			err = nil // another process was faster
		}
		if err == nil {
			entries, err = r.read(ctx)
		}
	}
	return entries, translate(err)
}

// abandoned takes over what processes had read that died before they settled it, now and then.
func (r *reader) abandoned(ctx context.Context) ([]redis.XMessage, error) {
	now := r.db.opts.Now()
	if now.Sub(r.claimed) < r.db.opts.Lease {
		return nil, nil
	}
	entries, _, err := r.db.client.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: r.stream, Group: group, Consumer: r.consumer,
		MinIdle: r.db.opts.Lease, Start: "0", Count: readAtOnce,
	}).Result()
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		r.claimed = now
		// What is not tidied now is tidied the next time.
		_, _ = r.db.runOn(ctx, r.stream, r.db.scripts.tidy, tidyUnseen.Milliseconds())
	}
	return entries, nil
}

// read gives new entries. It does not end with ctx: what Redis has handed out must be taken in.
func (r *reader) read(ctx context.Context) ([]redis.XMessage, error) {
	client := r.db.client
	if r.block != dontBlock {
		client = r.db.blocking
	}
	streams, err := client.XReadGroup(context.WithoutCancel(ctx), &redis.XReadGroupArgs{
		Group: group, Consumer: r.consumer, Streams: []string{r.stream, ">"}, Count: readAtOnce, Block: r.block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// settle removes entries from the stream.
func (r *reader) settle(ctx context.Context, places ...string) error {
	if len(places) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	_, err := r.db.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.XAck(ctx, r.stream, group, places...)
		pipe.XDel(ctx, r.stream, places...)
		return nil
	})
	return translate(err)
}

// message is what an entry holds; nil: nothing.
func message(entry *redis.XMessage) []byte {
	if payload, ok := entry.Values[payloadField].(string); ok {
		return []byte(payload)
	}
	return nil
}
