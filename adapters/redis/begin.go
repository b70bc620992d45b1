package redis

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/ports"
)

// Begin begins what a carrier has delivered: each with one script, and many share a round trip.
func (c *Consumer) Begin(ctx context.Context, arrivals []ports.Arrival) []ports.Begun {
	answers := make([]ports.Begun, len(arrivals))
	if c.life.Err() != nil || !c.server.Enter() {
		for i := range answers {
			answers[i].Err = ports.ErrClosed
		}
		return answers
	}
	defer c.server.Leave()
	sent := time.Now()
	places := make([][]*server.Shard, len(arrivals))
	for i := range arrivals {
		places[i] = c.server.Places(&arrivals[i].Request)
	}
	found := c.intake.Search(ctx, places, func(i int, s *server.Shard, last bool) *server.Op {
		return c.beginning(s, &arrivals[i], last)
	})
	for i := range found {
		answers[i] = c.begun(&arrivals[i], sent, found[i])
	}
	return answers
}

// beginning is the script that begins a request; create: also when there is no record.
func (c *Consumer) beginning(s *server.Shard, a *ports.Arrival, create bool) *server.Op {
	r, now := &a.Request, c.opts.Now()
	theirs := s.TheirRequest(r)
	return server.NewOp(s, 0, script.Begin.Call(
		"id", string(r.ID),
		"token", tokenIn(s, a.Try),
		"lease", c.opts.Lease.Milliseconds(),
		"create", create,
		"dueIn", until(r.NotBefore, now),
		"facts", codec.EncodeFacts(theirs),
		"submitted", codec.Micros(theirs.SubmittedAt),
		"overdueIn", until(codec.OverdueAt(r.Deadline), now),
		"size", r.Size(),
		"attempts", a.Attempts,
		"content", codec.ContentOf(r),
	))
}

// begun reads the answer of begin.lua. What the record says of the request counts more than the message, which does not
// say it all.
func (c *Consumer) begun(a *ports.Arrival, sent time.Time, found server.Found) ports.Begun {
	answer := found.Answer
	if found.Err != nil {
		return ports.Begun{Err: found.Err}
	}
	switch answer.Word() {
	case "done":
		return ports.Begun{Verdict: ports.BegunDone}
	case "keep":
		return ports.Begun{Verdict: ports.BegunKeep}
	case "used":
		return ports.Begun{Verdict: ports.BegunIDUsed}
	case "go":
	default:
		return ports.Begun{Err: unexpected(answer)}
	}
	req, token, attempts := a.Request, tokenIn(found.Shard, a.Try), int(answer.Number("attempts"))
	rec, err := codec.DecodeFacts(req.ID, []byte(answer.Text("facts")))
	if err != nil {
		c.failUnreadable(req.ID, token, attempts, err)
		return ports.Begun{Verdict: ports.BegunKeep} // the dead letter is to have its original
	}
	req.Endpoint, req.Owner, req.Priority, req.ResentFrom = rec.Endpoint, rec.Owner, rec.Priority, rec.ResentFrom
	req.SubmittedAt, req.Deadline = found.Shard.Ours(rec.SubmittedAt), found.Shard.Ours(rec.Deadline)
	return ports.Begun{Delivery: ports.Delivery{
		Request: req, Attempts: attempts, Answered: answer.Flag("answered"),
		Deliveries: int(answer.Number("deliveries")), Token: token,
		Lease: c.leases.add(found.Shard, req.ID, token, sent),
	}}
}
