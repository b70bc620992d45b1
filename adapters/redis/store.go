package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

var (
	_ ports.Store         = (*DB)(nil)
	_ ports.StoreWork     = (*Consumer)(nil)
	_ ports.ForeignIntake = (*DB)(nil)
)

// carriedQueue is the queue of a request that a broker carries. See prelude.lua.
const carriedQueue = "-"

// Create makes records: each is one script, and many share a round trip.
func (db *DB) Create(ctx context.Context, creations []ports.Creation) []ports.Created {
	answers := make([]ports.Created, len(creations))
	if !db.enter() {
		for i := range answers {
			answers[i].Err = ports.ErrClosed
		}
		return answers
	}
	defer db.leave()
	ops := make([]*op, len(creations))
	for i := range creations {
		r := &creations[i].Request
		if creations[i].Carried {
			ops[i] = db.creating(r, 0, carriedQueue, nil, nil)
			continue
		}
		ops[i] = db.taking(r, 0)
		db.sweeper.at(r.NotBefore)
	}
	gaveUp := db.intake.do(ctx, ops)
	for i, o := range ops {
		answers[i] = created(&creations[i], o, gaveUp)
	}
	return answers
}

// created reads the answer. Gave up is the error of those that have none.
func created(c *ports.Creation, o *op, gaveUp error) ports.Created {
	answer := ports.Created{Accepted: accepted(&c.Request, o, gaveUp)}
	if answer.Err != nil {
		return answer
	}
	switch answer.Outcome {
	case ports.AcceptedNew:
		answer.Unpublished = c.Carried
	case ports.AcceptedSame:
		answer.Unpublished = o.answer.Flag("unsent")
	case ports.AcceptedMismatch:
	}
	return answer
}

// Published notes what the broker has.
func (db *DB) Published(ctx context.Context, reqs []domain.Request) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	byShard := make(map[*shard][]any)
	for i := range reqs {
		s := db.home(&reqs[i])
		byShard[s] = append(byShard[s], string(reqs[i].ID))
	}
	ops := make([]*op, 0, len(byShard))
	for s, ids := range byShard {
		ops = append(ops, newOp(s, 0, script.Published.Call().And(ids...)))
	}
	gaveUp := db.intake.do(ctx, ops)
	for _, o := range ops {
		if _, err := o.result(gaveUp); err != nil {
			return err
		}
	}
	return nil
}

// Keep takes in all of what a broker carries: each is one script, and many share a round trip.
func (db *DB) Keep(ctx context.Context, arrivals []ports.Arrival) []error {
	errs := make([]error, len(arrivals))
	if !db.enter() {
		for i := range errs {
			errs[i] = ports.ErrClosed
		}
		return errs
	}
	defer db.leave()
	keeping := func(i int, s *shard, makeIt bool) *op {
		a := &arrivals[i]
		r := &a.Request
		request := encodeRequest(r)
		return newOp(s, len(request), script.Keep.Call(
			"id", string(r.ID),
			"request", request,
			"queue", queueOf(r),
			"create", makeIt,
			"dueAt", millis(r.NotBefore),
			"dueMicros", micros(r.NotBefore),
			"facts", encodeFacts(r),
			"submitted", micros(r.SubmittedAt),
			"overdueAt", millis(r.Deadline.Add(lateAfter)),
			"size", r.Size(),
			"attempts", a.Attempts,
		))
	}
	db.seek(ctx, db.intake, db.quests(arrivals), keeping, func(i int, _ *shard, _ script.Answer, err error) {
		errs[i] = err
		db.sweeper.at(arrivals[i].Request.NotBefore)
	})
	return errs
}

// AcceptForeign accepts requests of which other programs have charged attempts.
func (db *DB) AcceptForeign(ctx context.Context, arrivals []ports.Arrival) []error {
	errs := make([]error, len(arrivals))
	if !db.enter() {
		for i := range errs {
			errs[i] = ports.ErrClosed
		}
		return errs
	}
	defer db.leave()
	reqs, attempts := make([]domain.Request, len(arrivals)), make([]int, len(arrivals))
	for i := range arrivals {
		reqs[i], attempts[i] = arrivals[i].Request, arrivals[i].Attempts
	}
	for i, accepted := range db.accept(ctx, reqs, attempts) {
		errs[i] = accepted.Err
	}
	return errs
}

// Reject makes a dead letter of a message.
func (db *DB) Reject(ctx context.Context, req domain.Request, message []byte, cause error) error {
	return db.rejectNoted(ctx, &req, message, cause, false)
}

// rejectNoted is reject as a call of its own, which is logged.
func (db *DB) rejectNoted(ctx context.Context, req *domain.Request, message []byte, cause error, isResult bool) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	if err := db.reject(ctx, req, message, cause, isResult); err != nil {
		return err
	}
	db.rejected.Lock()
	defer db.rejected.Unlock()
	if n := db.rejected.Note(db.opts.Now()); n > 0 {
		db.opts.Logger.Error("messages cannot be taken in", "count", n, "correlation_id", req.ID, "error", cause)
	}
	return nil
}

// reject makes a dead letter of a message, and tells that it ended. The message may be a result, which has none itself.
func (db *DB) reject(ctx context.Context, req *domain.Request, original []byte, cause error, isResult bool) error {
	answer, err := db.outcomes.one(ctx, newOp(db.shardOf(string(req.ID)), len(original), script.Reject.Call(
		"id", string(req.ID),
		"facts", encodeFacts(req),
		"message", original,
		"problem", cause.Error(),
		"lifetime", db.opts.TTL.Milliseconds(),
		"letterLifetime", db.opts.DeadLetterTTL.Milliseconds(),
		"noNotice", isResult,
	)))
	if err != nil {
		return err
	}
	if st, found, err := decodeState(req.ID, answer.List("state")); err == nil && found {
		db.tellEnded(&st)
	}
	return nil
}

// Take hands out what is ready, without waiting for anything.
func (c *Consumer) Take(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	if !c.db.enter() {
		return nil, ports.ErrClosed
	}
	defer c.db.leave()
	if c.db.ctx.Err() != nil || c.life.Err() != nil {
		return nil, ports.ErrClosed
	}
	h, err := c.take(ctx, credit)
	if len(h.deliveries) > 0 {
		return h.deliveries, nil
	}
	return nil, err
}

// Begin begins what a broker has handed out: each is one script, and many share a round trip.
func (c *Consumer) Begin(ctx context.Context, arrivals []ports.Arrival) []ports.Begun {
	answers := make([]ports.Begun, len(arrivals))
	if c.life.Err() != nil || !c.db.enter() {
		for i := range answers {
			answers[i].Err = ports.ErrClosed
		}
		return answers
	}
	defer c.db.leave()
	sent := time.Now()
	beginning := func(i int, s *shard, makeIt bool) *op {
		a := &arrivals[i]
		r := &a.Request
		return newOp(s, 0, script.Begin.Call(
			"id", string(r.ID),
			"token", tokenOf(s, a),
			"lease", c.db.opts.Lease.Milliseconds(),
			"create", makeIt,
			"dueAt", millis(r.NotBefore),
			"facts", encodeFacts(r),
			"submitted", micros(r.SubmittedAt),
			"overdueAt", millis(r.Deadline.Add(lateAfter)),
			"size", r.Size(),
			"attempts", a.Attempts,
		))
	}
	c.db.seek(ctx, c.db.intake, c.db.quests(arrivals), beginning, func(i int, s *shard, answer script.Answer, err error) {
		answers[i] = c.begun(s, &arrivals[i], sent, answer, err)
	})
	return answers
}

func tokenOf(s *shard, a *ports.Arrival) string { return strconv.Itoa(s.number) + tokenShard + a.Try }

// begun reads the answer. What the record says of the request counts more than the message, which does not say it all.
func (c *Consumer) begun(s *shard, a *ports.Arrival, sent time.Time, answer script.Answer, err error) ports.Begun {
	if err != nil {
		return ports.Begun{Err: err}
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
	req, token := a.Request, tokenOf(s, a)
	rec, err := decodeFacts(req.ID, []byte(answer.Text("facts")))
	if err != nil {
		c.reject(req.ID, token, int(answer.Number("attempts")), err)
		return ports.Begun{Verdict: ports.BegunKeep} // the dead letter is to have its original
	}
	req.Endpoint, req.Owner, req.Priority, req.ResentFrom = rec.Endpoint, rec.Owner, rec.Priority, rec.ResentFrom
	req.SubmittedAt, req.Deadline = rec.SubmittedAt, rec.Deadline
	return ports.Begun{Delivery: ports.Delivery{
		Request: req, Attempts: int(answer.Number("attempts")), Answered: answer.Flag("answered"),
		Deliveries: int(answer.Number("deliveries")), Token: token, Lease: c.leases.add(s, req.ID, token, sent),
	}}
}
