package redis

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// CarrierStore keeps the records of requests that a carrier has. With Requests it implements ports.Store, and
// Consumer.Begin begins those requests.
type CarrierStore struct {
	server   *server.Server
	intake   *server.Committer
	sweeper  *sweeper
	requests *Requests
}

// Create makes records: each with one script, and many share a round trip.
func (st *CarrierStore) Create(ctx context.Context, creations []ports.Creation) []ports.Created {
	answers := make([]ports.Created, len(creations))
	if !st.server.Enter() {
		for i := range answers {
			answers[i].Err = ports.ErrClosed
		}
		return answers
	}
	defer st.server.Leave()
	ops := make([]*server.Op, len(creations))
	for i := range creations {
		r := &creations[i].Request
		if creations[i].Carried {
			ops[i] = st.requests.saving(r, 0, codec.CarriedQueue, []byte{}, []byte{})
			continue
		}
		ops[i] = st.requests.accepting(r, 0)
		st.sweeper.at(r.NotBefore)
	}
	for i, result := range st.intake.Do(ctx, ops...) {
		answers[i] = created(&creations[i], result)
	}
	return answers
}

// created reads the answer of accept.lua.
func created(c *ports.Creation, result server.Result) ports.Created {
	answer := ports.Created{Accepted: accepted(&c.Request, result)}
	if answer.Err != nil {
		return answer
	}
	switch answer.Outcome {
	case ports.AcceptedNew:
		answer.Unpublished = c.Carried
	case ports.AcceptedSame:
		answer.Unpublished = result.Answer.Flag("unsent")
	case ports.AcceptedMismatch:
	}
	return answer
}

// Published notes which requests the carrier has.
func (st *CarrierStore) Published(ctx context.Context, reqs []domain.Request) error {
	if !st.server.Enter() {
		return ports.ErrClosed
	}
	defer st.server.Leave()
	byShard := make(map[*server.Shard][]any)
	for i := range reqs {
		s := st.server.Home(&reqs[i])
		byShard[s] = append(byShard[s], string(reqs[i].ID))
	}
	ops := make([]*server.Op, 0, len(byShard))
	for s, ids := range byShard {
		ops = append(ops, server.NewOp(s, 0, script.Published.Call().And(ids...)))
	}
	for _, result := range st.intake.Do(ctx, ops...) {
		if result.Err != nil {
			return result.Err
		}
	}
	return nil
}

// Keep saves all of what a carrier has: each with one script, and many share a round trip.
func (st *CarrierStore) Keep(ctx context.Context, arrivals []ports.Arrival) []error {
	if !st.server.Enter() {
		return server.Closed(len(arrivals))
	}
	defer st.server.Leave()
	places := arrivalPlaces(st.server, arrivals)
	found := st.intake.Search(ctx, places, func(i int, s *server.Shard, last bool) *server.Op {
		return keeping(s, &arrivals[i], last)
	})
	errs := make([]error, len(arrivals))
	for i := range found {
		errs[i] = found[i].Err
		st.sweeper.at(arrivals[i].Request.NotBefore)
	}
	return errs
}

// keeping is the script that saves all of a request; create: also when there is no record.
func keeping(s *server.Shard, a *ports.Arrival, create bool) *server.Op {
	r := &a.Request
	request := codec.EncodeRequest(r)
	return server.NewOp(s, len(request), script.Keep.Call(
		"id", string(r.ID),
		"request", request,
		"queue", codec.QueueOf(r),
		"create", create,
		"dueAt", codec.Millis(r.NotBefore),
		"dueMicros", codec.Micros(r.NotBefore),
		"facts", codec.EncodeFacts(r),
		"submitted", codec.Micros(r.SubmittedAt),
		"overdueAt", codec.Millis(r.Deadline.Add(overdueAfter)),
		"size", r.Size(),
		"attempts", a.Attempts,
	))
}

// arrivalPlaces returns for each arrival the shards to search for its record. The last of them is the one to make it
// in.
func arrivalPlaces(s *server.Server, arrivals []ports.Arrival) [][]*server.Shard {
	places := make([][]*server.Shard, len(arrivals))
	for i := range arrivals {
		r := &arrivals[i].Request
		home := s.Home(r)
		if r.Idempotency != nil || len(s.Shards) == 1 {
			places[i] = []*server.Shard{home}
		} else {
			places[i] = append(s.Searched(r.ID), home)
		}
	}
	return places
}

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
	places := arrivalPlaces(c.server, arrivals)
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
	r := &a.Request
	return server.NewOp(s, 0, script.Begin.Call(
		"id", string(r.ID),
		"token", tokenIn(s, a.Try),
		"lease", c.opts.Lease.Milliseconds(),
		"create", create,
		"dueAt", codec.Millis(r.NotBefore),
		"facts", codec.EncodeFacts(r),
		"submitted", codec.Micros(r.SubmittedAt),
		"overdueAt", codec.Millis(r.Deadline.Add(overdueAfter)),
		"size", r.Size(),
		"attempts", a.Attempts,
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
	req.SubmittedAt, req.Deadline = rec.SubmittedAt, rec.Deadline
	return ports.Begun{Delivery: ports.Delivery{
		Request: req, Attempts: attempts, Answered: answer.Flag("answered"),
		Deliveries: int(answer.Number("deliveries")), Token: token,
		Lease: c.leases.add(found.Shard, req.ID, token, sent),
	}}
}
