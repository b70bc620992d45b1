package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// lateAfter is how long after its deadline a request is ended that nobody works on. Until it is final a record has no
// lifetime in Redis: should no process run for days, the first one still finds what was accepted, and ends it.
const lateAfter = 5 * time.Second

// Accept takes requests in: each is one script, and many share a round trip.
func (db *DB) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	if !db.enter() {
		answers := make([]ports.Accepted, len(reqs))
		for i := range answers {
			answers[i].Err = ports.ErrClosed
		}
		return answers
	}
	defer db.leave()
	return db.accept(ctx, reqs, make([]int, len(reqs)))
}

// accept takes requests in of which attempts were charged already. Its caller has entered: nobody may do so twice, or
// Close could come between and both would wait for each other.
func (db *DB) accept(ctx context.Context, reqs []domain.Request, attempts []int) []ports.Accepted {
	answers := make([]ports.Accepted, len(reqs))
	ops := make([]*op, len(reqs))
	for i := range reqs {
		ops[i] = db.taking(&reqs[i], attempts[i])
		db.sweeper.at(reqs[i].NotBefore)
	}
	err := db.intake.do(ctx, ops)
	for i := range reqs {
		answers[i] = accepted(&reqs[i], ops[i], err)
	}
	ring(db.ready)
	return answers
}

// handedQueue is the queue of a request that consumers of another broker have. See prelude.lua.
const handedQueue = ">"

// taking is the script that takes a request in.
func (db *DB) taking(r *domain.Request, attempts int) *op {
	switch {
	case db.handsOverElsewhere():
		return db.creating(r, attempts, handedQueue, encodeRequest(r), []byte{})
	case db.opts.Handover:
		message := envelope.Append(nil, &envelope.Message{Request: *r, RetryCount: attempts})
		return db.creating(r, attempts, "", encodeRequest(r), message)
	}
	return db.creating(r, attempts, queueOf(r), encodeRequest(r), []byte{})
}

// creating is the script that makes a record, in that queue. A broker delays nothing.
func (db *DB) creating(r *domain.Request, attempts int, queue string, request, message []byte) *op {
	at := millis(r.NotBefore)
	if queue == carriedQueue {
		at = 0
	}
	key, fingerprint, keyExpires := "", "", int64(0)
	if r.Idempotency != nil {
		key, fingerprint = idempotencyKey(r), string(r.Idempotency.Fingerprint[:])
		keyExpires = millis(r.Idempotency.ExpiresAt)
	}
	return newOp(db.home(r), len(request)+len(message), script.Accept.Call(
		"id", string(r.ID),
		"facts", encodeFacts(r),
		"queue", queue,
		"size", r.Size(),
		"request", request,
		"message", message,
		"submitted", micros(r.SubmittedAt),
		"dueAt", at,
		"dueMicros", micros(r.NotBefore),
		"overdueAt", millis(r.Deadline.Add(lateAfter)),
		"maxDepth", db.maxDepth(),
		"key", key,
		"fingerprint", fingerprint,
		"keyExpires", keyExpires,
		"attempts", attempts,
	))
}

// maxDepth is a shard's part of the limit.
func (db *DB) maxDepth() int64 {
	n := int64(len(db.shards))
	return (db.opts.MaxDepth + n - 1) / n
}

// queueOf names the queue of a request: its lane and its endpoint.
func queueOf(r *domain.Request) string {
	if r.Lane() == domain.LaneHigh {
		return highLane + r.Endpoint
	}
	return lowLane + r.Endpoint
}

// accepted reads the answer. Gave up is the error of those that have none.
func accepted(r *domain.Request, o *op, gaveUp error) ports.Accepted {
	answer, err := o.result(gaveUp)
	if err != nil {
		return ports.Accepted{Err: err}
	}
	switch answer.Word() {
	case "new":
		return ports.Accepted{Outcome: ports.AcceptedNew, Record: newRecord(r, fromMicros(answer.Number("next")))}
	case "mismatch":
		return ports.Accepted{Outcome: ports.AcceptedMismatch, Record: domain.Record{ID: domain.ID(answer.Text("id"))}}
	case "full":
		return ports.Accepted{Err: fmt.Errorf("%w: queue.max_depth requests are unfinished", ports.ErrFull)}
	case "same":
		return repeated(r, answer)
	default:
		return ports.Accepted{Err: unexpected(answer)}
	}
}

func newRecord(r *domain.Request, next time.Time) domain.Record {
	return domain.Record{
		ID: r.ID, Endpoint: r.Endpoint, Owner: r.Owner, Priority: r.Priority, ResentFrom: r.ResentFrom,
		Status: domain.Pending, SubmittedAt: r.SubmittedAt, UpdatedAt: r.SubmittedAt, NextAttemptAt: next,
		Deadline: r.Deadline,
	}
}

// repeated gives the record of the earlier request, which may be gone before its key is.
func repeated(r *domain.Request, answer script.Answer) ports.Accepted {
	id := domain.ID(answer.Text("id"))
	s, found, err := decodeState(id, answer.List("state"))
	switch {
	case err != nil:
		return ports.Accepted{Err: fmt.Errorf("%w: %w", ports.ErrUnavailable, err)}
	case found:
		return ports.Accepted{Outcome: ports.AcceptedSame, Record: s.Record}
	}
	return ports.Accepted{Outcome: ports.AcceptedSame, Record: domain.Record{
		ID: id, SubmittedAt: fromMicros(answer.Number("submitted")), Endpoint: r.Endpoint, Owner: r.Owner,
	}}
}

// Cancel ends a request that nobody has begun.
func (db *DB) Cancel(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !db.enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer db.leave()
	for _, s := range db.searched(id) {
		rec, err := db.cancelIn(ctx, s, id)
		if !errors.Is(err, ports.ErrNotFound) {
			return rec, err
		}
	}
	return domain.Record{}, ports.ErrNotFound
}

func (db *DB) cancelIn(ctx context.Context, s *shard, id domain.ID) (domain.Record, error) {
	at := db.opts.Now()
	answer, err := db.outcomes.one(ctx, newOp(s, 0, script.Cancel.Call(
		"id", string(id), "updated", micros(at), "lifetime", db.opts.TTL.Milliseconds())))
	if err != nil {
		return domain.Record{}, err
	}
	if answer.Word() == "missing" {
		return domain.Record{}, ports.ErrNotFound
	}
	st, found, err := decodeState(id, answer.List("state"))
	switch {
	case err != nil:
		return domain.Record{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	case !found:
		return domain.Record{}, ports.ErrNotFound
	case answer.Word() == "conflict":
		return st.Record, ports.ErrConflict
	case answer.Word() == "ended":
		db.tellEnded(&st)
	}
	return st.Record, nil
}

// tellEnded tells of what this process made final.
func (db *DB) tellEnded(s *state) {
	ring(db.ended)
	if s.Status.DeadLettered() {
		ring(db.buried)
	}
	if db.opts.Ended != nil {
		db.opts.Ended(s.withResult())
	}
}
