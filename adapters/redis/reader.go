package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
)

const (
	payloadField = "payload" // of a stream entry: the message
	dontBlock    = -1
)

// Bounds of one read. Redis does nothing else meanwhile, and all of it is in memory at once, with what is made of it.
// Entries of other programs may be as large as the largest message.
const (
	readAtOnce     = 64       // entries
	readBytesAbout = 16 << 20 // and one more entry at most
)

// reader reads a stream as one of many processes, with the consumer group that all of them share. Each entry is
// somebody's until it is settled; what a process had read that died is taken over after a lease.
type reader struct {
	db       *DB
	stream   string
	consumer string
	block    time.Duration // of a read when there is nothing; dontBlock: not at all
	results  bool          // what it reads are results: one that cannot be taken in has none of its own
	claimed  time.Time     // when it last looked for what dead processes had read
	flows    bool          // the last read found something
	anew     bool          // it has made the group; for others to reset
	rejected outage.Rarely // messages that could not be taken in
}

func newReader(db *DB, stream string, block time.Duration) reader {
	return reader{db: db, stream: stream, consumer: consumerName(), block: block}
}

// run reads until ctx ends or the database is closed, and gives entries to take, which takes them in and settles them.
// While Redis is away it goes on trying. It ends about a second late, with a read that blocks.
func (r *reader) run(ctx context.Context, take func(ctx context.Context, entries []redis.XMessage) error) {
	var pause outage.Backoff
	for !r.db.over(ctx) {
		entries, err := r.next(context.WithoutCancel(ctx)) // what Redis has handed out must be taken in
		if err == nil && len(entries) > 0 {
			err = take(ctx, entries)
		}
		r.db.report(ctx, err)
		if err == nil {
			pause.Reset()
			continue
		}
		r.db.sleep(ctx, pause.Next())
	}
}

// over reports whether a loop is to end.
func (db *DB) over(ctx context.Context) bool { return ctx.Err() != nil || db.ctx.Err() != nil }

// next gives what there is to take in. It makes the group when that is not there, or goes while a read waits.
func (r *reader) next(ctx context.Context) ([]redis.XMessage, error) {
	entries, err := r.abandoned(ctx)
	if err == nil && len(entries) == 0 {
		entries, err = r.read(ctx)
	}
	if redis.HasErrorPrefix(err, "NOGROUP") || redis.HasErrorPrefix(err, "UNBLOCKED") {
		err = r.db.client.XGroupCreateMkStream(ctx, r.stream, group, "0").Err()
		if redis.HasErrorPrefix(err, "BUSYGROUP") {
			err = nil // another process was faster
		}
		if err == nil {
			r.anew = true
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
	entries, err := r.bounded(ctx, strconv.FormatInt(r.db.opts.Lease.Milliseconds(), 10))
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		r.claimed = now
		// What is not tidied now is tidied the next time.
		_, _ = r.db.runOn(ctx, r.stream, script.Tidy.Call("unseen", tidyUnseen.Milliseconds()))
	}
	return entries, nil
}

// read gives new entries. A read that blocks takes one: how large the others are is seen by the script alone, which
// reads them while there are any.
func (r *reader) read(ctx context.Context) ([]redis.XMessage, error) {
	if r.block == dontBlock {
		return r.plain(ctx, r.db.client, readAtOnce)
	}
	if r.flows {
		if entries, err := r.bounded(ctx, ""); err != nil || len(entries) > 0 {
			return entries, err
		}
	}
	entries, err := r.plain(ctx, r.db.blocking, 1)
	r.flows = len(entries) > 0
	return entries, err
}

// plain reads with the command.
func (r *reader) plain(ctx context.Context, client redis.UniversalClient, n int64) ([]redis.XMessage, error) {
	streams, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: group, Consumer: r.consumer, Streams: []string{r.stream, ">"}, Count: n, Block: r.block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// bounded reads within the bounds: new entries, or what others have held for so many milliseconds.
func (r *reader) bounded(ctx context.Context, held string) ([]redis.XMessage, error) {
	answer, err := r.db.eval(ctx, r.stream, script.Read.Call(
		"consumer", r.consumer, "count", readAtOnce, "bytes", readBytesAbout, "held", held))
	read := answer.List("entries")
	entries := make([]redis.XMessage, 0, len(read))
	for i := range read {
		item, _ := read[i].([]any)
		fields := texts(item, 1)
		values := make(map[string]any, len(fields)/2)
		for pair := range slices.Chunk(fields, 2) {
			values[pair[0]] = pair[1]
		}
		entries = append(entries, redis.XMessage{ID: text(item, 0), Values: values})
	}
	return entries, err
}

// settle removes entries from the stream.
func (r *reader) settle(ctx context.Context, places ...string) error {
	if len(places) == 0 {
		return nil
	}
	_, err := r.db.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		r.remove(ctx, pipe, places)
		return nil
	})
	return translate(err)
}

func (r *reader) remove(ctx context.Context, pipe redis.Pipeliner, places []string) {
	pipe.XAck(ctx, r.stream, group, places...)
	pipe.XDel(ctx, r.stream, places...)
}

// reject makes a dead letter of a message that cannot be taken in, and settles it.
func (r *reader) reject(ctx context.Context, entry *redis.XMessage, req *domain.Request, cause error) error {
	ctx, db := context.WithoutCancel(ctx), r.db
	if err := db.reject(ctx, req, message(entry), cause, r.results); err != nil {
		return err
	}
	if n := r.rejected.Note(db.opts.Now()); n > 0 {
		db.opts.Logger.Error("messages cannot be taken in", "stream", r.stream, "count", n, "correlation_id", req.ID,
			"error", cause)
	}
	return r.settle(ctx, entry.ID)
}

// reject makes a dead letter of a message, and tells that it ended. The message may be a result, which has none itself.
func (db *DB) reject(ctx context.Context, req *domain.Request, original []byte, cause error, isResult bool) error {
	answer, err := db.outcomes.one(ctx, newOp(db.shardOf(string(req.ID)), len(original), script.Reject.Call(
		"id", string(req.ID),
		"facts", encodeFacts(req),
		"message", original,
		"problem", cause.Error(),
		"lifetime", db.opts.TTL.Milliseconds(),
		"letterLifetime", db.opts.DeadLetterTTL.Milliseconds(),
		"noNotice", isResult,
	)))
	if err != nil {
		return err
	}
	if st, found, err := decodeState(req.ID, answer.List("state")); err == nil && found {
		db.tellEnded(&st)
	}
	return nil
}

// message is what an entry holds; nil: nothing.
func message(entry *redis.XMessage) []byte {
	if payload, ok := entry.Values[payloadField].(string); ok {
		return []byte(payload)
	}
	return nil
}
