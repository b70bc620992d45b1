package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// Requests accepts requests, and ends those that no worker of ours finishes. It implements ports.Intake and, for
// messages of other programs, ports.ForeignIntake and ports.Outcomes.
type Requests struct {
	opts     *Options
	server   *server.Server
	intake   *server.Committer
	outcomes *server.Committer
	sweeper  *sweeper
	news     *news
	rejected rejections
}

var (
	_ ports.Intake        = (*Requests)(nil)
	_ ports.ForeignIntake = (*Requests)(nil)
	_ ports.Outcomes      = (*Requests)(nil)
)

// Accept saves requests: each with one script, and many share a round trip. The walk goes through this file, the
// Committer and accept.lua.
func (r *Requests) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	ops := make([]*server.Op, len(reqs))
	for i := range reqs {
		ops[i] = r.accepting(&reqs[i], terms{})
	}
	return r.accept(ctx, reqs, ops)
}

// AcceptForeign accepts requests of which other programs have charged attempts.
func (r *Requests) AcceptForeign(ctx context.Context, arrivals []ports.Arrival) []error {
	reqs, ops := make([]domain.Request, len(arrivals)), make([]*server.Op, len(arrivals))
	for i := range arrivals {
		reqs[i] = arrivals[i].Request
		ops[i] = r.accepting(&reqs[i], terms{
			attempts: arrivals[i].Attempts, content: codec.ContentOf(&reqs[i]), foreign: true,
		})
	}
	errs := make([]error, len(arrivals))
	for i, accepted := range r.accept(ctx, reqs, ops) {
		errs[i] = accepted.Err
	}
	return errs
}

// accept runs the scripts that save requests.
func (r *Requests) accept(ctx context.Context, reqs []domain.Request, ops []*server.Op) []ports.Accepted {
	answers := make([]ports.Accepted, len(reqs))
	if !r.server.Enter() {
		for i := range answers {
			answers[i].Err = ports.ErrClosed
		}
		return answers
	}
	defer r.server.Leave()
	for i := range reqs {
		r.sweeper.at(reqs[i].NotBefore)
	}
	for i, result := range r.intake.Do(ctx, ops...) {
		answers[i] = accepted(r.server.Home(&reqs[i]).TheirRequest(&reqs[i]), result)
	}
	signal(r.news.ready)
	return answers
}

// terms are what a request brings that is no part of it.
type terms struct {
	attempts int    // that were charged already
	content  []byte // codec.ContentOf, where messages may come with its id; empty: none do
	foreign  bool   // it came as a message
}

// accepting is the script that saves a request in the queue where it waits.
func (r *Requests) accepting(req *domain.Request, t terms) *server.Op {
	theirs := r.server.Home(req).TheirRequest(req)
	request, message := codec.EncodeRequest(theirs), []byte{}
	switch {
	case r.opts.handsOverElsewhere():
		return r.saving(req, t, codec.HandedQueue, request, message)
	case r.opts.Handover:
		message = envelope.Append(nil, &envelope.Message{Request: *theirs, RetryCount: t.attempts})
		return r.saving(req, t, codec.PlainQueue, request, message)
	}
	return r.saving(req, t, codec.QueueOf(req), request, message)
}

// saving is the script that makes a record, in that queue. A carrier delays nothing.
func (r *Requests) saving(req *domain.Request, t terms, queue string, request, message []byte) *server.Op {
	home, now := r.server.Home(req), r.opts.Now()
	theirs := home.TheirRequest(req)
	dueIn := until(req.NotBefore, now)
	if queue == codec.CarriedQueue {
		dueIn = 0
	}
	key, fingerprint, keyTTL := "", "", int64(0)
	if req.Idempotency != nil {
		key, fingerprint = server.IdempotencyKey(req), string(req.Idempotency.Fingerprint[:])
		keyTTL = until(req.Idempotency.ExpiresAt, now)
	}
	return server.NewOp(home, len(request)+len(message), script.Accept.Call(
		"id", string(req.ID),
		"facts", codec.EncodeFacts(theirs),
		"queue", queue,
		"size", req.Size(),
		"request", request,
		"message", message,
		"submitted", codec.Micros(theirs.SubmittedAt),
		"dueIn", dueIn,
		"dueMicros", codec.Micros(theirs.NotBefore),
		"overdueIn", until(codec.OverdueAt(req.Deadline), now),
		"maxDepth", r.maxDepth(),
		"key", key,
		"fingerprint", fingerprint,
		"keyTTL", keyTTL,
		"attempts", t.attempts,
		"content", string(t.content),
		"foreign", t.foreign,
	))
}

// maxDepth is a shard's part of the limit.
func (r *Requests) maxDepth() int64 {
	n := int64(len(r.server.Shards))
	return (r.opts.MaxDepth + n - 1) / n
}

// accepted reads the answer of accept.lua. The times of the request are by the clock of Redis.
func accepted(req *domain.Request, result server.Result) ports.Accepted {
	answer := result.Answer
	if result.Err != nil {
		return ports.Accepted{Err: result.Err}
	}
	switch answer.Word() {
	case "new":
		return ports.Accepted{
			Outcome: ports.AcceptedNew, Record: newRecord(req, codec.FromMicros(answer.Number("next"))),
		}
	case "mismatch":
		return ports.Accepted{
			Outcome: ports.AcceptedMismatch, Record: domain.Record{ID: domain.ID(answer.Text("id"))},
		}
	case "full":
		return ports.Accepted{Err: fmt.Errorf("%w: queue.max_depth requests are unfinished", ports.ErrFull)}
	case "same":
		return repeated(req, answer)
	case "used":
		return ports.Accepted{Err: fmt.Errorf("%w: %s", ports.ErrIDUsed, req.ID)}
	default:
		return ports.Accepted{Err: unexpected(answer)}
	}
}

func newRecord(req *domain.Request, next time.Time) domain.Record {
	return domain.Record{
		ID: req.ID, Endpoint: req.Endpoint, Owner: req.Owner, Priority: req.Priority, ResentFrom: req.ResentFrom,
		Status: domain.Pending, SubmittedAt: req.SubmittedAt, UpdatedAt: req.SubmittedAt, NextAttemptAt: next,
		Deadline: req.Deadline,
	}
}

// repeated returns the record of the earlier request, which may be gone before its key is.
func repeated(req *domain.Request, answer script.Answer) ports.Accepted {
	id := domain.ID(answer.Text("id"))
	state, found, err := stateIn(id, answer)
	switch {
	case err != nil:
		return ports.Accepted{Err: err}
	case found:
		return ports.Accepted{Outcome: ports.AcceptedSame, Record: state.Record}
	}
	return ports.Accepted{Outcome: ports.AcceptedSame, Record: domain.Record{
		ID: id, SubmittedAt: codec.FromMicros(answer.Number("submitted")), Endpoint: req.Endpoint, Owner: req.Owner,
	}}
}
