package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/ports/envelope"
	"github.com/openhqm/openhqm/ports/outage"
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
	unknown rarely // results of requests that there are not
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

// result is one on its way in.
type result struct {
	envelope.Result

	place  string   // in the stream
	shards []*shard // that its request may be in, and was not looked for in: the likeliest first
}

// take takes entries in and settles those that are. What it has begun does not end with ctx.
func (in *resultsIn) take(ctx context.Context, entries []redis.XMessage) error {
	ctx = context.WithoutCancel(ctx)
	var results []*result
	for i := range entries {
		entry := &entries[i]
		r, err := in.decode(entry)
		if err == nil {
			results = append(results, &result{r, entry.ID, in.db.searched(r.ID)})
			continue
		}
		if err = in.reject(ctx, entry, err); err != nil {
			return err
		}
	}
	return in.save(ctx, results)
}

var (
	errNoID      = errors.New("the result names no request")
	errResultURL = errors.New("result_url names nothing that is fetched")
)

func (in *resultsIn) decode(entry *redis.XMessage) (envelope.Result, error) {
	payload := message(entry)
	if payload == nil {
		return envelope.Result{}, errNoPayload
	}
	r, err := envelope.DecodeResult(payload, arrival(entry.ID), in.opts.MaxSize)
	switch {
	case err != nil:
		return envelope.Result{}, err
	case r.ID == "":
		return envelope.Result{}, errNoID
	case r.URL != "":
		return envelope.Result{}, errResultURL
	}
	return r, nil
}

// reject makes a dead letter of a message that cannot be read.
func (in *resultsIn) reject(ctx context.Context, entry *redis.XMessage, cause error) error {
	arrived := arrival(entry.ID)
	req := domain.Request{ID: derivedID(resultPlace, entry.ID), SubmittedAt: arrived, Deadline: arrived}
	return in.reader.reject(ctx, entry, &req, fmt.Errorf("result: %w", cause))
}

// save makes requests final, again and again if need be.
func (in *resultsIn) save(ctx context.Context, results []*result) error {
	var pause outage.Backoff
	for len(results) > 0 && !in.db.ended(ctx) {
		settled, left, err := in.try(ctx, results)
		if settleErr := in.settle(ctx, settled...); settleErr != nil {
			return settleErr
		}
		if results = left; err != nil {
			in.db.sleep(ctx, pause.Next())
		}
	}
	return nil
}

// try saves each result in the next shard that its request may be in. It gives the places of those that are settled,
// and those that are left for another try: with an error when some of them could not be saved.
func (in *resultsIn) try(ctx context.Context, results []*result) (settled []string, left []*result, failure error) {
	ops := make([]*op, len(results))
	for i, r := range results {
		ops[i] = in.db.final(r.shards[0], &r.Result)
	}
	gaveUp := in.db.outcomes.do(ctx, ops)
	for i, r := range results {
		answer, err := ops[i].result(gaveUp)
		switch {
		case err != nil:
			left, failure = append(left, r), err
			continue
		case word(answer) == "missing":
			if r.shards = r.shards[1:]; len(r.shards) > 0 {
				left = append(left, r)
				continue
			}
			in.warn(r)
		case word(answer) == "ended":
			if st, found, err := decodeState(r.ID, list(answer, 1)); err == nil && found {
				in.db.tellEnded(&st)
			}
		}
		settled = append(settled, r.place)
	}
	return settled, left, failure
}

// final is the script that saves a result.
func (db *DB) final(s *shard, r *envelope.Result) *op {
	code, response, size := "", []byte{}, int64(0)
	if r.Result.Response != nil {
		code, response = strconv.Itoa(r.Result.Response.StatusCode), encodeResponse(r.Result.Response)
		size = r.Result.Response.Size()
	}
	return newOp(s, db.scripts.result, len(response),
		string(r.ID), string(r.Status), micros(r.Result.CompletedAt), string(reasonOf(r.Status)), r.Result.Error,
		int64(r.Result.ProcessingTime), code, response, size,
		db.opts.TTL.Milliseconds(), db.opts.DeadLetterTTL.Milliseconds())
}

// reasonOf is what a result does not say: those who wrote it have decided that no retry mends it.
func reasonOf(status domain.Status) domain.Reason {
	switch status {
	case domain.Failed:
		return domain.ReasonRejected
	case domain.TimedOut:
		return domain.ReasonDeadline
	default:
		return ""
	}
}

// warn tells of a result whose request is not there: long final, or of another queue.
func (in *resultsIn) warn(r *result) {
	if n := in.unknown.note(in.db.opts.Now()); n > 0 {
		in.db.opts.Logger.Warn("results of unknown requests are dropped", "stream", in.stream, "count", n,
			"correlation_id", r.ID)
	}
}
