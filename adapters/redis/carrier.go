package redis

import (
	"context"
	"fmt"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// CarrierStore keeps the records of requests that a carrier has. With Requests it implements ports.Store.
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
		t := terms{content: codec.ContentOf(r)}
		if creations[i].Carried {
			original := []byte{}
			if st.requests.opts.Originals {
				original = codec.EncodeRequest(st.server.Home(r).TheirRequest(r))
			}
			ops[i] = st.requests.saving(r, t, codec.CarriedQueue, original, []byte{})
			continue
		}
		ops[i] = st.requests.accepting(r, t)
		st.sweeper.at(r.NotBefore)
	}
	for i, result := range st.intake.Do(ctx, ops...) {
		home := st.server.Home(&creations[i].Request)
		answers[i] = created(home.TheirRequest(&creations[i].Request), creations[i].Carried, result)
	}
	return answers
}

// created reads the answer of accept.lua. The times of the request are by the clock of Redis.
func created(r *domain.Request, carried bool, result server.Result) ports.Created {
	answer := ports.Created{Accepted: accepted(r, result)}
	if answer.Err != nil {
		return answer
	}
	switch answer.Outcome {
	case ports.AcceptedNew:
		answer.Unpublished = carried
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
	places := make([][]*server.Shard, len(arrivals))
	for i := range arrivals {
		places[i] = st.server.Places(&arrivals[i].Request)
	}
	found := st.intake.Search(ctx, places, func(i int, s *server.Shard, last bool) *server.Op {
		return st.keeping(s, &arrivals[i], last)
	})
	errs := make([]error, len(arrivals))
	for i := range found {
		errs[i] = found[i].Err
		switch found[i].Answer.Word() {
		case "completed": // a dead letter, of which there is another notice
			signal(st.requests.news.buried)
		case "used":
			errs[i] = fmt.Errorf("%w: %s", ports.ErrIDUsed, arrivals[i].Request.ID)
		}
		st.sweeper.at(arrivals[i].Request.NotBefore)
	}
	return errs
}

// keeping is the script that saves all of a request; create: also when there is no record.
func (st *CarrierStore) keeping(s *server.Shard, a *ports.Arrival, create bool) *server.Op {
	r, now := &a.Request, st.requests.opts.Now()
	theirs := s.TheirRequest(r)
	request := codec.EncodeRequest(theirs)
	return server.NewOp(s, len(request), script.Keep.Call(
		"id", string(r.ID),
		"request", request,
		"queue", codec.QueueOf(r),
		"create", create,
		"dueIn", until(r.NotBefore, now),
		"dueMicros", codec.Micros(theirs.NotBefore),
		"facts", codec.EncodeFacts(theirs),
		"submitted", codec.Micros(theirs.SubmittedAt),
		"overdueIn", until(codec.OverdueAt(r.Deadline), now),
		"size", r.Size(),
		"attempts", a.Attempts,
		"content", codec.ContentOf(r),
	))
}
