package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
)

const (
	payloadField = "payload" // of a stream entry: the message
	dontBlock    = -1
)

// reader reads a stream as one of many processes, with the consumer group that all of them share. Each entry is
// somebody's until it is settled; what a process had read that died is taken over after a lease.
type reader struct {
	server   *server.Server
	opts     *Options
	stream   string
	consumer string
	block    time.Duration // of a read when there is nothing; dontBlock: not at all
	claimed  time.Time     // when it last looked for what dead processes had read
	flows    bool          // the last read found something
	remade   bool          // it has made the group; the user resets it
}

func newReader(s *Streams, stream string, block time.Duration) reader {
	return reader{server: s.server, opts: &s.opts, stream: stream, consumer: server.ConsumerName(), block: block}
}

// next returns what there is to read: at most count entries, and no more of them once they have so many bytes. It makes
// the group when that is not there, or goes while a read waits.
func (r *reader) next(ctx context.Context, count int, bytes int64) ([]redis.XMessage, error) {
	entries, err := r.abandoned(ctx, count, bytes)
	if err == nil && len(entries) == 0 {
		entries, err = r.read(ctx, count, bytes)
	}
	if groupGone(err) {
		err = r.server.Client.XGroupCreateMkStream(ctx, r.stream, script.Group, "0").Err()
		if redis.HasErrorPrefix(err, "BUSYGROUP ") {
			err = nil // another process was faster
		}
		if err == nil {
			r.remade = true
			entries, err = r.read(ctx, count, bytes)
		}
		if groupGone(err) {
			err = nil // somebody deletes it again and again; the next call makes it
		}
	}
	if err != nil {
		err = fmt.Errorf("stream %s: %w", r.stream, err)
	}
	return entries, server.Translate(err)
}

// groupGone reports whether a read failed because there is no group, or it went while the read waited.
func groupGone(err error) bool {
	return redis.HasErrorPrefix(err, "NOGROUP ") || redis.HasErrorPrefix(err, "UNBLOCKED ")
}

// abandoned takes over, now and then, what processes had read that died before they settled it.
func (r *reader) abandoned(ctx context.Context, count int, bytes int64) ([]redis.XMessage, error) {
	now := r.opts.Now()
	if now.Sub(r.claimed) < r.opts.Lease {
		return nil, nil
	}
	entries, err := r.bounded(ctx, count, bytes, strconv.FormatInt(r.opts.Lease.Milliseconds(), 10))
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		r.claimed = now
		// What is not tidied now is tidied the next time.
		_, _ = r.server.RunOn(ctx, r.stream, script.Tidy.Call("unseen", TidyUnseen.Milliseconds()))
	}
	return entries, nil
}

// read returns new entries. A read that blocks returns one: only the script sees how large the others are, so it reads
// them while there are any. A read that does not block is for small entries, and does without the script.
func (r *reader) read(ctx context.Context, count int, bytes int64) ([]redis.XMessage, error) {
	if r.block == dontBlock {
		return r.plain(ctx, r.server.Client, int64(count))
	}
	if r.flows {
		if entries, err := r.bounded(ctx, count, bytes, ""); err != nil || len(entries) > 0 {
			return entries, err
		}
	}
	entries, err := r.plain(ctx, r.server.Blocking, 1)
	r.flows = len(entries) > 0
	return entries, err
}

// plain reads with the command.
func (r *reader) plain(ctx context.Context, client redis.UniversalClient, n int64) ([]redis.XMessage, error) {
	streams, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: script.Group, Consumer: r.consumer, Streams: []string{r.stream, ">"}, Count: n, Block: r.block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// bounded reads within bounds: new entries, or what other processes have held for so many milliseconds.
func (r *reader) bounded(ctx context.Context, count int, bytes int64, held string) ([]redis.XMessage, error) {
	answer, err := r.server.Eval(ctx, r.stream, script.Read.Call(
		"consumer", r.consumer, "count", count, "bytes", bytes, "held", held,
	))
	rows := answer.Rows("entries")
	entries := make([]redis.XMessage, 0, len(rows))
	for _, row := range rows {
		fields := row.Texts("values")
		values := make(map[string]any, len(fields)/2)
		for pair := range slices.Chunk(fields, 2) {
			values[pair[0]] = pair[1]
		}
		entries = append(entries, redis.XMessage{ID: row.Text("place"), Values: values})
	}
	return entries, err
}

// fields returns all fields of an entry in their order, as Redis has them. The client puts them in a map, which keeps
// one field of a name; that is what is returned, sorted, when Redis does not answer.
func (r *reader) fields(ctx context.Context, read *redis.XMessage) (fields []domain.Field) {
	answer, err := r.server.Client.Do(ctx, "XRANGE", r.stream, read.ID, read.ID).Slice()
	if err == nil && len(answer) == 1 {
		if found, ok := answer[0].([]any); ok && len(found) == 2 {
			pairs, _ := found[1].([]any)
			for pair := range slices.Chunk(pairs, 2) {
				fields = append(fields, domain.Field{Name: fmt.Sprint(pair[0]), Value: fmt.Sprint(pair[len(pair)-1])})
			}
			return fields
		}
	}
	for _, name := range slices.Sorted(maps.Keys(read.Values)) {
		fields = append(fields, domain.Field{Name: name, Value: fmt.Sprint(read.Values[name])})
	}
	return fields
}

// remove adds the removal of settled entries to a pipeline. What is deleted but not acknowledged, because the process
// died in between, is nobody's loss: XAUTOCLAIM forgets it. A transaction would be refused while memory is full.
func (r *reader) remove(ctx context.Context, pipe redis.Pipeliner, places []string) {
	pipe.XDel(ctx, r.stream, places...)
	pipe.XAck(ctx, r.stream, script.Group, places...)
}
