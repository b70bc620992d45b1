package redis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

var (
	_ ports.Store         = (*DB)(nil)
	_ ports.StoreWork     = (*Consumer)(nil)
	_ ports.ForeignIntake = (*DB)(nil)
	_ ports.Exchanger     = (*DB)(nil)
)

// carriedQueue is the queue of a request that a broker carries. See common.lua.
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
		answer.Unpublished = number(o.answer, 4) == 1
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
		ops = append(ops, newOp(s, db.scripts.published, 0, ids...))
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
		return newOp(s, db.scripts.keep, len(request), slices.Concat(
			[]any{string(r.ID), request, queueOf(r), makeIt, millis(r.NotBefore), micros(r.NotBefore)}, record(a),
		)...)
	}
	db.seek(ctx, db.intake, db.quests(arrivals), keeping, func(i int, _ *shard, _ []any, err error) {
		errs[i] = err
		db.sweeper.at(arrivals[i].Request.NotBefore)
	})
	return errs
}

// record lists what a record is made of, for scripts that find none. See born.lua.
func record(a *ports.Arrival) []any {
	r := &a.Request
	return []any{encodeFacts(r), micros(r.SubmittedAt), millis(r.Deadline.Add(lateAfter)), r.Size(), a.Attempts}
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
	answer, err := db.outcomes.one(ctx, newOp(db.shardOf(string(req.ID)), db.scripts.reject, len(original),
		string(req.ID), encodeFacts(req), original, cause.Error(),
		db.opts.TTL.Milliseconds(), db.opts.DeadLetterTTL.Milliseconds(), isResult))
	if err != nil {
		return err
	}
	if st, found, err := decodeState(req.ID, list(answer, 1)); err == nil && found {
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
		return newOp(s, c.db.scripts.begin, 0, slices.Concat([]any{
			string(a.Request.ID), tokenOf(s, a), c.db.opts.Lease.Milliseconds(), makeIt, millis(a.Request.NotBefore),
		}, record(a))...)
	}
	c.db.seek(ctx, c.db.intake, c.db.quests(arrivals), beginning, func(i int, s *shard, answer []any, err error) {
		answers[i] = c.begun(s, &arrivals[i], sent, answer, err)
	})
	return answers
}

func tokenOf(s *shard, a *ports.Arrival) string { return strconv.Itoa(s.number) + tokenShard + a.Try }

// begun reads the answer. What the record says of the request counts more than the message, which does not say it all.
func (c *Consumer) begun(s *shard, a *ports.Arrival, sent time.Time, answer []any, err error) ports.Begun {
	if err != nil {
		return ports.Begun{Err: err}
	}
	switch word(answer) {
	case "done":
		return ports.Begun{Verdict: ports.BegunDone}
	case "keep":
		return ports.Begun{Verdict: ports.BegunKeep}
	case "go":
	default:
		return ports.Begun{Err: unexpected(answer)}
	}
	req, token := a.Request, tokenOf(s, a)
	rec, err := decodeFacts(req.ID, []byte(text(answer, 1)))
	if err != nil {
		c.reject(req.ID, token, int(number(answer, 2)), err)
		return ports.Begun{Verdict: ports.BegunKeep} // the dead letter is to have its original
	}
	req.Endpoint, req.Owner, req.Priority, req.ResentFrom = rec.Endpoint, rec.Owner, rec.Priority, rec.ResentFrom
	req.SubmittedAt, req.Deadline = rec.SubmittedAt, rec.Deadline
	return ports.Begun{Delivery: ports.Delivery{
		Request: req, Attempts: int(number(answer, 2)), Answered: number(answer, 4) == 1,
		Deliveries: int(number(answer, 3)), Token: token, Lease: c.leases.add(s, req.ID, token, sent),
	}}
}
