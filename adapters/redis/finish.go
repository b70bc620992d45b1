package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// tokenShard ends the number of the shard, with which a token begins.
const tokenShard = "-"

// Finish saves the outcomes and settles the deliveries: each is one script, and many share a round trip. What is called
// again after ports.ErrUnavailable succeeds when the first call did, unless another delivery of the request has had its
// outcome meanwhile.
func (c *Consumer) Finish(ctx context.Context, finishes []ports.Finish) []error {
	if !c.db.enter() {
		errs := make([]error, len(finishes))
		for i := range errs {
			errs[i] = ports.ErrClosed
		}
		return errs
	}
	defer c.db.leave()
	return c.finish(ctx, finishes)
}

func (c *Consumer) finish(ctx context.Context, finishes []ports.Finish) []error {
	errs := make([]error, len(finishes))
	ops := make([]*op, 0, len(finishes))
	calls := make([]string, 0, len(finishes))
	places := make([]int, 0, len(finishes)) // of ops, in finishes
	for i := range finishes {
		f := &finishes[i]
		s := c.db.shardOfToken(f.Token)
		if s == nil {
			errs[i] = ports.ErrLost // no token of ours
			continue
		}
		calls = append(calls, c.unsure.call(f.Token))
		ops, places = append(ops, c.db.settlement(s, f, calls[len(ops)])), append(places, i)
		c.db.sweeper.at(f.Outcome.NextAttemptAt)
	}
	gaveUp := c.db.outcomes.do(ctx, ops)
	for n, o := range ops {
		f := &finishes[places[n]]
		err := c.settled(f, o, gaveUp)
		c.unsure.note(f.Token, calls[n], err)
		errs[places[n]] = err
	}
	return errs
}

// unsure are the calls that may have saved an outcome although their answer was lost. Whoever makes one again gets that
// answer, while a second outcome of a delivery, however alike, is lost. There are as many as callers that have not yet
// repeated theirs.
type unsure struct {
	mu      sync.Mutex
	byToken map[string]string
}

// call names a call of Finish, by its earlier name when it is a repeat.
func (u *unsure) call(token string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return cmp.Or(u.byToken[token], unique())
}

// note takes note of how a call ended.
func (u *unsure) note(token, call string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil || errors.Is(err, ports.ErrLost) {
		delete(u.byToken, token)
	} else {
		u.byToken[token] = call
	}
}

func (db *DB) shardOfToken(token string) *shard {
	head, _, found := strings.Cut(token, tokenShard)
	number, err := strconv.Atoi(head)
	if !found || err != nil || number < 0 || number >= len(db.shards) {
		return nil
	}
	return db.shards[number]
}

// settlement is the script that saves an outcome. Call names it, the same when it is repeated.
func (db *DB) settlement(s *shard, f *ports.Finish, call string) *op {
	out := &f.Outcome
	code, response, size := "", []byte{}, int64(0)
	if out.Response != nil {
		code, response = strconv.Itoa(out.Response.StatusCode), encodeResponse(out.Response)
		size = out.Response.Size()
	}
	next, at := "", int64(0)
	if out.Status == domain.Pending {
		next, at = micros(out.NextAttemptAt), millis(out.NextAttemptAt)
	}
	original, queue := []byte{}, ""
	if f.Original != nil && out.Status != domain.Completed {
		original, queue = encodeRequest(f.Original), queueOf(f.Original)
	}
	return newOp(s, db.scripts.finish, len(response)+len(original),
		string(f.ID), f.Token, string(out.Status), out.Attempts, micros(out.At), next, at,
		string(out.Reason), out.Error, int64(out.ProcessingTime), code, response, size,
		db.opts.TTL.Milliseconds(), db.opts.DeadLetterTTL.Milliseconds(), call, out.Deliveries, original, queue)
}

// settled reads the answer. What was not confirmed stays leased, for the caller repeats it.
func (c *Consumer) settled(f *ports.Finish, o *op, gaveUp error) error {
	answer, err := o.result(gaveUp)
	if err != nil {
		if errors.Is(err, ports.ErrFull) { // of memory: as good as away
			return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
		}
		return err
	}
	switch word(answer) {
	case "waits":
		c.leases.settled(f.ID, f.Token)
		return nil
	case "ended":
		c.leases.settled(f.ID, f.Token)
		if st, err := endedBy(f, answer); err == nil {
			c.db.tellEnded(&st)
		}
		return nil
	case "lost":
		c.leases.lost(f.ID, f.Token)
		return ports.ErrLost
	default:
		return unexpected(answer)
	}
}

// endedBy is a record that a finish made final.
func endedBy(f *ports.Finish, answer []any) (state, error) {
	rec, err := decodeFacts(f.ID, []byte(text(answer, 1)))
	if err != nil {
		return state{}, err
	}
	out := &f.Outcome
	rec.Status, rec.UpdatedAt, rec.Attempts, rec.ResponseSize = out.Status, out.At, out.Attempts, number(answer, 2)
	return state{Record: rec, result: domain.Result{
		Reason: out.Reason, Error: out.Error, CompletedAt: out.At, ProcessingTime: out.ProcessingTime,
	}}, nil
}
