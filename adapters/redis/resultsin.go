package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// ResultsInOptions say where results of other programs come from.
type ResultsInOptions struct {
	Stream  string
	MaxSize int // of a message, in bytes
}

// resultsIn takes in what other programs made of requests.
type resultsIn struct {
	reader

	opts    ResultsInOptions
	unknown outage.Rarely // results of requests that there are not
}

// StoreResults takes in what other programs XADD to a stream: entries whose field "payload" is a result message. The
// first one makes its request final, whatever had become of that until then, and those after it change nothing. An
// entry leaves the stream when that is durable. One that cannot be read becomes a dead letter with an id of its own;
// one whose request is not there is logged. It blocks until ctx ends, and about a second more; while Redis is away it
// goes on trying. Any number of processes may do so.
func (db *DB) StoreResults(ctx context.Context, opts ResultsInOptions) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	in := &resultsIn{reader: newReader(db, opts.Stream, blockFor), opts: opts}
	in.results = true
	in.run(ctx, in.take)
	return nil
}

// take takes entries in and settles those that are. What it has begun does not end with ctx.
func (in *resultsIn) take(ctx context.Context, entries []redis.XMessage) error {
	var results []ports.Conclusion
	var places []string // of results, in the stream
	for i := range entries {
		r, err := in.decode(&entries[i])
		if err == nil {
			results = append(results, ports.Conclusion{ID: r.ID, Status: r.Status, Result: r.Result})
			places = append(places, entries[i].ID)
			continue
		}
		if err = in.reject(ctx, &entries[i], err); err != nil {
			return err
		}
	}
	return in.save(ctx, results, places)
}

func (in *resultsIn) decode(entry *redis.XMessage) (envelope.Result, error) {
	payload := message(entry)
	if payload == nil {
		return envelope.Result{}, fmt.Errorf("result: %w", errNoPayload)
	}
	return envelope.ReadResult(payload, arrival(entry.ID), in.opts.MaxSize)
}

// reject makes a dead letter of a message that cannot be read.
func (in *resultsIn) reject(ctx context.Context, entry *redis.XMessage, cause error) error {
	arrived := arrival(entry.ID)
	req := domain.Request{ID: derivedID(resultPlace, entry.ID), SubmittedAt: arrived, Deadline: arrived}
	return in.reader.reject(ctx, entry, &req, cause)
}

// save makes requests final, again and again if need be. What is left when ctx ends is taken over by another process.
func (in *resultsIn) save(ctx context.Context, results []ports.Conclusion, places []string) error {
	var pause outage.Backoff
	for len(results) > 0 && !in.db.over(ctx) {
		var left []ports.Conclusion
		var leftAt []string
		settled := make([]string, 0, len(results))
		for i, err := range in.db.conclude(context.WithoutCancel(ctx), results) {
			switch {
			case err != nil && !errors.Is(err, ports.ErrNotFound):
				left, leftAt = append(left, results[i]), append(leftAt, places[i])
				continue
			case err != nil:
				in.warn(results[i].ID)
			}
			settled = append(settled, places[i])
		}
		if err := in.settle(context.WithoutCancel(ctx), settled...); err != nil {
			return err
		}
		if results, places = left, leftAt; len(left) > 0 {
			in.db.sleep(ctx, pause.Next())
		}
	}
	return nil
}

// warn tells of a result whose request is not there: long final, or of another queue.
func (in *resultsIn) warn(id domain.ID) {
	if n := in.unknown.Note(in.db.opts.Now()); n > 0 {
		in.db.opts.Logger.Warn("results of unknown requests are dropped", "stream", in.stream, "count", n,
			"correlation_id", id)
	}
}
