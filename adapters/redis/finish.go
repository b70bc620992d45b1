package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Finish saves outcomes and ends the deliveries: each with one script, and many share a round trip. What is called
// again after ports.ErrUnavailable succeeds when the first call did, unless another delivery of the request has had its
// outcome meanwhile. The walk goes through this file, the Committer and finish.lua.
func (c *Consumer) Finish(ctx context.Context, finishes []ports.Finish) []error {
	if !c.server.Enter() {
		return server.Closed(len(finishes))
	}
	defer c.server.Leave()
	return c.finish(ctx, finishes)
}

func (c *Consumer) finish(ctx context.Context, finishes []ports.Finish) []error {
	errs := make([]error, len(finishes))
	ops := make([]*server.Op, 0, len(finishes))
	calls := make([]string, 0, len(finishes)) // of ops
	places := make([]int, 0, len(finishes))   // of ops, in finishes
	for i := range finishes {
		f := &finishes[i]
		s := c.shardOfToken(f.Token)
		if s == nil {
			errs[i] = ports.ErrLost // not a token of ours
			continue
		}
		call := c.repeats.call(f.Token)
		calls, ops, places = append(calls, call), append(ops, c.finishing(s, f, call)), append(places, i)
		c.sweeper.at(f.Outcome.NextAttemptAt)
	}
	for n, result := range c.outcomes.Do(ctx, ops...) {
		f := &finishes[places[n]]
		shard := c.shardOfToken(f.Token)
		err := c.finished(shard, f, result)
		if err == nil && dueAtOnce(&f.Outcome) {
			c.noteReturned(shard)
		}
		c.repeats.note(f.Token, calls[n], err)
		errs[places[n]] = err
	}
	return errs
}

// finishing is the script that saves an outcome.
func (c *Consumer) finishing(s *server.Shard, f *ports.Finish, call string) *server.Op {
	out := &f.Outcome
	code, response, size := codec.ResponseFields(out.Response)
	dueIn, dueMicros := int64(0), ""
	if out.Status == domain.Pending && !dueAtOnce(out) {
		dueIn, dueMicros = until(out.NextAttemptAt, c.opts.Now()), codec.Micros(s.Theirs(out.NextAttemptAt))
	}
	original, queue := []byte{}, ""
	if f.Original != nil && out.Status != domain.Completed {
		original, queue = codec.EncodeRequest(s.TheirRequest(f.Original)), codec.QueueOf(f.Original)
	}
	return server.NewOp(s, len(response)+len(original), script.Finish.Call(
		"id", string(f.ID),
		"token", f.Token,
		"call", call,
		"status", string(out.Status),
		"attempts", out.Attempts,
		"deliveries", out.Deliveries,
		"updated", codec.Micros(s.Theirs(out.At)),
		"dueIn", dueIn,
		"dueMicros", dueMicros,
		"reason", string(out.Reason),
		"problem", out.Error,
		"took", int64(out.ProcessingTime),
		"code", code,
		"response", response,
		"answered", size,
		"request", original,
		"queue", queue,
		"lifetime", c.opts.TTL.Milliseconds(),
		"letterLifetime", c.opts.DeadLetterTTL.Milliseconds(),
	))
}

// dueAtOnce reports whether a request is to be begun again at once, whatever the time is in Redis.
func dueAtOnce(out *domain.Outcome) bool {
	return out.Status == domain.Pending && !out.NextAttemptAt.After(out.At)
}

// finished reads the answer of finish.lua. What was not confirmed stays leased, for the caller repeats it.
func (c *Consumer) finished(s *server.Shard, f *ports.Finish, result server.Result) error {
	if errors.Is(result.Err, ports.ErrFull) { // of memory: as good as away
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, result.Err)
	}
	if result.Err != nil {
		return result.Err
	}
	switch result.Answer.Word() {
	case "waits":
		c.leases.end(f.ID, f.Token)
		return nil
	case "ended":
		c.leases.end(f.ID, f.Token)
		if state, err := endedBy(s, f, result.Answer); err == nil {
			c.news.ended(&state)
		}
		return nil
	case "lost":
		c.leases.lose(f.ID, f.Token)
		return ports.ErrLost
	default:
		return unexpected(result.Answer)
	}
}

// endedBy returns the record that a finish made final.
func endedBy(s *server.Shard, f *ports.Finish, answer script.Answer) (codec.State, error) {
	rec, err := codec.DecodeFacts(f.ID, []byte(answer.Text("facts")))
	if err != nil {
		return codec.State{}, err
	}
	out := &f.Outcome
	at := s.Theirs(out.At)
	rec.Status, rec.UpdatedAt, rec.Attempts = out.Status, at, out.Attempts
	rec.ResponseSize = answer.Number("answered")
	return codec.EndedState(rec, domain.Result{
		Reason: out.Reason, Error: out.Error, CompletedAt: at, ProcessingTime: out.ProcessingTime,
	}), nil
}

// repeats knows the calls that may have saved an outcome although their answer was lost. A call that is made again gets
// that answer, while a second outcome of a delivery, however alike, is lost. There are as many as callers that have not
// repeated theirs yet.
type repeats struct {
	mu      sync.Mutex
	byToken map[string]string
}

// call returns the name of a call of Finish, the earlier one when it is a repeat.
func (r *repeats) call(token string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.byToken[token], server.Unique())
}

// note notes how a call ended.
func (r *repeats) note(token, call string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || errors.Is(err, ports.ErrLost) {
		delete(r.byToken, token)
	} else {
		r.byToken[token] = call
	}
}

// failUnreadable ends a request that was begun and cannot be read.
func (c *Consumer) failUnreadable(id domain.ID, token string, attempts int, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.server.Context()), c.opts.Lease)
	defer cancel()
	err := c.finish(ctx, []ports.Finish{{
		ID: id, Token: token,
		Outcome: domain.Outcome{
			Status: domain.Failed, Attempts: attempts, At: c.opts.Now(),
			Reason: domain.ReasonUndecodable, Error: cause.Error(),
		},
	}})[0]
	c.opts.Logger.Error("stored request cannot be read; no call was made (check redis)",
		"correlation_id", id, "error", cause, "finish", err)
}
