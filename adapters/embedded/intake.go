package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// rowBytes is the approximate size of a request's rows in a batch, without its body.
const rowBytes = 1024

// arrival is a request that is being accepted. It is a copy, except of the body, because a caller that stops waiting
// may change its own.
type arrival struct {
	row         *row
	value       encoded
	notBefore   time.Time
	idempotency *domain.Idempotency
}

func newArrival(req *domain.Request) arrival {
	a := arrival{
		row: &row{
			Record: domain.Record{
				ID: req.ID, Endpoint: req.Endpoint, Owner: req.Owner, Priority: req.Priority, Status: domain.Pending,
				SubmittedAt: req.SubmittedAt, UpdatedAt: req.SubmittedAt, Deadline: req.Deadline,
				ResentFrom: req.ResentFrom,
			},
			size: req.Size(),
		},
		value:     encodeRequest(req),
		notBefore: req.NotBefore,
	}
	if req.Idempotency != nil {
		idempotency := *req.Idempotency
		a.idempotency = &idempotency
	}
	return a
}

// Accept implements ports.Intake. The record, the request and its queue entry are written in one batch.
func (db *DB) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	arrivals := make([]arrival, len(reqs))
	for i := range reqs {
		arrivals[i] = newArrival(&reqs[i])
	}
	room := db.disk.check()
	answers := make([]ports.Accepted, 0, len(reqs))
	for from, to := range groups(len(arrivals), func(i int) int { return arrivals[i].value.size() + rowBytes }) {
		answers = append(answers, db.acceptGroup(ctx, arrivals[from:to], room)...)
	}
	return answers
}

func (db *DB) acceptGroup(ctx context.Context, arrivals []arrival, room error) []ports.Accepted {
	answers := make([]ports.Accepted, len(arrivals))
	bytes := 0
	for i := range arrivals {
		bytes += arrivals[i].value.size() + rowBytes
	}
	err := db.do(ctx, bytes, func(tx *txn) error {
		for i := range arrivals {
			answers[i] = tx.accept(&arrivals[i], room)
		}
		return nil
	})
	if err == nil {
		return answers
	}
	// Not answers: the committer may still write into it.
	unconfirmed := make([]ports.Accepted, len(arrivals))
	for i := range unconfirmed {
		unconfirmed[i].Err = err
	}
	return unconfirmed
}

// accept accepts one request. A repeat of an earlier one is answered even when there is no room.
func (tx *txn) accept(a *arrival, room error) ports.Accepted {
	r := a.row
	if a.idempotency != nil {
		if answer, known := tx.repeated(r, a.idempotency); known {
			return answer
		}
	}
	if room == nil && tx.db.opts.MaxDepth > 0 && tx.unfinished() >= tx.db.opts.MaxDepth {
		room = fmt.Errorf("%w: as many requests as queue.max_depth are unfinished", ports.ErrFull)
	}
	if room != nil {
		return ports.Accepted{Err: room}
	}
	tx.setEncoded(idKey(prefixRequest, r.ID), a.value)
	tx.enqueue(r, a.notBefore)
	if a.idempotency != nil {
		tx.claimKey(r, a.idempotency)
	}
	tx.expireAt(r, r.Deadline.Add(expiryGrace))
	tx.save(r)
	tx.db.totals.accepted++
	tx.newest = r.ID
	return ports.Accepted{Outcome: ports.AcceptedNew, Record: r.Record}
}

// unfinished returns the number of ready, delayed and leased requests.
func (tx *txn) unfinished() int64 {
	n := tx.db.totals.delayed
	for _, q := range tx.db.scheduler.queues {
		n += q.rows
	}
	return n
}

// repeated returns the answer to a request whose idempotency key is in use, and true; false when the key is free.
func (tx *txn) repeated(req *row, given *domain.Idempotency) (ports.Accepted, bool) {
	i, err := tx.key(idempotencyKey(req.Owner, given.Key))
	switch {
	case err != nil:
		return ports.Accepted{Err: fmt.Errorf("%w: %w", ports.ErrUnavailable, err)}, true
	case i.id == "" || i.expires <= tx.now.UnixMilli():
		return ports.Accepted{}, false
	case i.fingerprint != given.Fingerprint:
		return ports.Accepted{Outcome: ports.AcceptedMismatch, Record: domain.Record{ID: i.id}}, true
	}
	answer := ports.Accepted{
		Outcome: ports.AcceptedSame,
		// The record may be deleted before its key is.
		Record: domain.Record{ID: i.id, SubmittedAt: i.submittedAt, Endpoint: req.Endpoint, Owner: req.Owner},
	}
	r, err := tx.row(i.id)
	if err != nil {
		return ports.Accepted{Err: fmt.Errorf("%w: %w", ports.ErrUnavailable, err)}, true
	}
	if r != nil {
		answer.Record = r.Record
	}
	return answer, true
}

func (tx *txn) claimKey(r *row, given *domain.Idempotency) {
	r.idempotency = given.Key
	r.idempotencyExpires = given.ExpiresAt.UnixMilli()
	key := idempotencyKey(r.Owner, r.idempotency)
	tx.setKey(key, idempotency{
		id: r.ID, fingerprint: given.Fingerprint, submittedAt: r.SubmittedAt, expires: r.idempotencyExpires,
	})
	tx.set(expiryKey(r.idempotencyExpires, expireIdempotency, key), nil)
	tx.db.expiry.add(r.idempotencyExpires)
}

// freeKey makes the key of a request usable again, unless another request already has it.
func (tx *txn) freeKey(r *row) {
	key := idempotencyKey(r.Owner, r.idempotency)
	if i, err := tx.key(key); err == nil && i.id == r.ID {
		tx.setKey(key, idempotency{})
		tx.delete(expiryKey(r.idempotencyExpires, expireIdempotency, key))
	}
}

// key returns the value of an idempotency key as this group sees it. Its id is empty when there is none.
func (tx *txn) key(key []byte) (idempotency, error) {
	if i, ok := tx.keys[string(key)]; ok {
		return i, nil
	}
	value, err := tx.db.get(key)
	if err != nil || value == nil {
		return idempotency{}, err
	}
	return decodeIdempotency(value)
}

// setKey sets the value of an idempotency key, or deletes the key when the id is empty.
func (tx *txn) setKey(key []byte, i idempotency) {
	tx.keys[string(key)] = i
	if i.id == "" {
		tx.delete(key)
		return
	}
	tx.set(key, encodeIdempotency(&i))
}

// Cancel implements ports.Intake.
func (db *DB) Cancel(ctx context.Context, id domain.ID) (domain.Record, error) {
	var rec domain.Record
	var conflict error
	err := db.do(ctx, rowBytes, func(tx *txn) error {
		r, err := tx.row(id)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
		case r == nil:
			return ports.ErrNotFound
		case r.Status == domain.Pending:
			tx.dequeue(r)
			tx.end(r, domain.Outcome{Status: domain.Cancelled, At: tx.now.Truncate(time.Microsecond)})
		case r.Status != domain.Cancelled:
			conflict = ports.ErrConflict
		}
		rec = r.Record
		return nil
	})
	if err != nil {
		return domain.Record{}, err
	}
	return rec, conflict
}
