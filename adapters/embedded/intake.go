package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// rowBytes is about what the rows of a request take in a batch, beside its body.
const rowBytes = 1024

// arrival is a request on its way in: a copy, since the caller may give up waiting and use his own again.
type arrival struct {
	row         *row
	value       []byte
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

// Accept writes record, request and queue entry of each request in one batch.
func (db *DB) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	arrivals := make([]arrival, len(reqs))
	for i := range reqs {
		arrivals[i] = newArrival(&reqs[i])
	}
	room := db.space.check()
	answers := make([]ports.Accepted, 0, len(reqs))
	for from, to := range groups(len(arrivals), func(i int) int { return len(arrivals[i].value) + rowBytes }) {
		answers = append(answers, db.acceptGroup(ctx, arrivals[from:to], room)...)
	}
	return answers
}

func (db *DB) acceptGroup(ctx context.Context, arrivals []arrival, room error) []ports.Accepted {
	answers := make([]ports.Accepted, len(arrivals))
	bytes := 0
	for i := range arrivals {
		bytes += len(arrivals[i].value) + rowBytes
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
	// Not in answers: the committer may still come to write there.
	unconfirmed := make([]ports.Accepted, len(arrivals))
	for i := range unconfirmed {
		unconfirmed[i].Err = err
	}
	return unconfirmed
}

// accept takes one request in. A repeat of an earlier one is answered even when there is no room.
func (tx *txn) accept(a *arrival, room error) ports.Accepted {
	r := a.row
	if a.idempotency != nil {
		if answer, known := tx.repeated(r, a.idempotency); known {
			return answer
		}
	}
	if room == nil && tx.db.opts.MaxDepth > 0 && tx.unfinished() >= tx.db.opts.MaxDepth {
		room = fmt.Errorf("%w: queue.max_depth requests are unfinished", ports.ErrFull)
	}
	if room != nil {
		return ports.Accepted{Err: room}
	}
	tx.set(idKey(prefixRequest, r.ID), a.value)
	tx.enqueue(r, a.notBefore)
	if a.idempotency != nil {
		tx.takeKey(r, a.idempotency)
	}
	tx.expireAt(r, r.Deadline.Add(expiryGrace))
	tx.save(r)
	return ports.Accepted{Outcome: ports.AcceptedNew, Record: r.Record}
}

// unfinished counts ready, delayed and leased requests.
func (tx *txn) unfinished() int64 {
	n := tx.db.totals.delayed
	for _, q := range tx.db.scheduler.queues {
		n += q.rows
	}
	return n
}

// repeated answers a request whose idempotency key is in use.
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
		// The record may be gone before its key is.
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

func (tx *txn) takeKey(r *row, given *domain.Idempotency) {
	r.idempotency = given.Key
	r.idempotencyExpires = given.ExpiresAt.UnixMilli()
	key := idempotencyKey(r.Owner, r.idempotency)
	tx.setKey(key, idempotency{
		id: r.ID, fingerprint: given.Fingerprint, submittedAt: r.SubmittedAt, expires: r.idempotencyExpires,
	})
	tx.set(expiryKey(r.idempotencyExpires, expireIdempotency, key), nil)
	tx.db.expiry.add(r.idempotencyExpires)
}

// freeKey lets the key be used again, unless another request already does.
func (tx *txn) freeKey(r *row) {
	key := idempotencyKey(r.Owner, r.idempotency)
	if i, err := tx.key(key); err == nil && i.id == r.ID {
		tx.setKey(key, idempotency{})
		tx.delete(expiryKey(r.idempotencyExpires, expireIdempotency, key))
	}
}

// key returns what is under an idempotency key as this group sees it; its id is empty when there is nothing.
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

// setKey changes what is under an idempotency key; nothing for an empty id.
func (tx *txn) setKey(key []byte, i idempotency) {
	tx.keys[string(key)] = i
	if i.id == "" {
		tx.delete(key)
		return
	}
	tx.set(key, encodeIdempotency(&i))
}

// Cancel ends a request that nobody has begun.
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
