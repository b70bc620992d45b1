package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// expiryGrace is how long after its deadline a request that no worker has begun is ended. A worker that receives it
// earlier ends it itself.
const expiryGrace = 5 * time.Second

// timeline is what the committer knows of rows that are sorted by time, so that it neither reads in vain nor walks over
// the tombstones of rows that it has handled. The zero value makes it read at once. Times are milliseconds since 1970.
type timeline struct {
	from int64 // no row is earlier
	next int64 // no row is due earlier
}

// add takes note of a new row.
func (t *timeline) add(at int64) {
	t.from, t.next = min(t.from, at), min(t.next, at)
}

// walk visits at most maxGroupDue rows whose time has come. Visit must delete each.
func (tx *txn) walk(t *timeline, prefix byte, visit func(key, value []byte) error) error {
	now := tx.now.UnixMilli()
	if t.next > now {
		return nil
	}
	from, visited := t.from, 0
	t.from, t.next = math.MaxInt64, math.MaxInt64
	err := tx.db.scan(timeKey(prefix, from), []byte{prefix + 1}, func(key, value []byte) (bool, error) {
		if at := keyTime(key); at > now || visited == maxGroupDue {
			t.add(at)
			return false, nil
		}
		visited++
		return true, visit(key, value)
	})
	t.from = min(t.from, max(now, from))
	return err
}

// moveDue makes delayed requests ready whose time has come.
func (db *DB) moveDue(tx *txn) error {
	return tx.walk(&db.due, prefixDue, func(key, value []byte) error {
		w, err := decodeWaiting(value)
		if err != nil {
			return err
		}
		r, err := tx.row(w.id)
		if err != nil {
			return err
		}
		if r == nil || r.place != (place{seq: trailingSeq(key), due: keyTime(key)}) {
			return fmt.Errorf("due request %s is not where its record says: %w", w.id, errCorrupt)
		}
		tx.dequeue(r)
		tx.enqueue(r, tx.now)
		tx.save(r)
		return nil
	})
}

// expire ends requests that are past their deadline and deletes what is past its lifetime.
func (db *DB) expire(tx *txn) error {
	return tx.walk(&db.expiry, prefixExpiry, func(key, _ []byte) error {
		key = bytes.Clone(key)
		tx.delete(key)
		at, what := keyTime(key), key[10:]
		switch key[9] {
		case expireRecord:
			return tx.expireRecord(domain.ID(what), at)
		case expireIdempotency:
			return tx.expireKey(what, at)
		case expireDeadLetter:
			return tx.expireDeadLetter(what)
		default:
			return fmt.Errorf("expiry of kind %q: %w", key[9], errCorrupt)
		}
	})
}

func (tx *txn) expireRecord(id domain.ID, at int64) error {
	r, err := tx.row(id)
	if err != nil || r == nil || r.expires != at {
		return err
	}
	r.expires = 0
	switch {
	case r.Status.Final():
		tx.rows[id] = nil
		tx.delete(idKey(prefixRecord, id))
		if r.answered {
			tx.discard(idKey(prefixResponse, id), r.ResponseSize)
		}
	case tx.db.leases[id] != nil:
		// A worker has it, and ends its call at the deadline. Check again later.
		tx.expireAt(r, tx.now.Add(tx.db.opts.Lease))
		tx.save(r)
	default:
		tx.dequeue(r)
		tx.end(r, domain.PastDeadline(r.Attempts, r.answered, tx.now))
	}
	return nil
}

func (tx *txn) expireKey(key []byte, at int64) error {
	i, err := tx.key(key)
	if err != nil || i.id == "" || i.expires != at {
		return err // freed, and perhaps used again
	}
	tx.setKey(key, idempotency{})
	return nil
}

// refill reads entries from disk into windows that run low. It comes first in a group, because rows that a group writes
// cannot be read before its commit.
func (db *DB) refill(tx *txn) error {
	for _, q := range db.scheduler.queues {
		if !q.needsRefill() {
			continue
		}
		if err := db.refillQueue(q); err != nil {
			return err
		}
		db.raiseFrom(q)
		tx.queues[q] = struct{}{}
	}
	return nil
}

func (db *DB) refillQueue(q *queue) error {
	start, end := readyKey(q.id, max(q.loaded+1, q.from)), readyKey(q.id, math.MaxUint64)
	err := db.scan(start, end, func(key, value []byte) (bool, error) {
		w, err := decodeWaiting(value)
		if err != nil {
			return false, err
		}
		q.loaded = trailingSeq(key)
		q.window = append(q.window, entry{waiting: w, seq: q.loaded})
		return len(q.window) < windowMax, nil
	})
	if err == nil && len(q.window) < windowMax && q.waiting() != int64(len(q.window)) {
		return errors.Join(errCorrupt, fmt.Errorf("queue of endpoint %q counts %d waiting requests but holds %d",
			q.id.endpoint, q.waiting(), len(q.window)))
	}
	return err
}

// raiseFrom sets where the queue's rows begin: at the first waiting or leased one, whichever is earlier.
func (db *DB) raiseFrom(q *queue) {
	first := q.loaded
	if len(q.window) > 0 {
		first = q.window[0].seq
	}
	for _, l := range db.leases {
		if l.queue == q {
			first = min(first, l.entry.seq)
		}
	}
	q.from = first
}
