package embedded

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// lease is a delivery that is handed out. It is only in memory: when the process dies, all its deliveries are ready
// again.
type lease struct {
	row      *row // the committer's
	queue    *queue
	entry    entry
	consumer *Consumer

	// What the holder gets. It is a copy, because the row may belong to another holder before this one reads it.
	record   domain.Record
	answered bool
	token    string

	held context.Context // ends when the lease is lost
	lose context.CancelCauseFunc
}

// serve begins the entries that waiting receivers have credit for and the disk has room for the responses of. The
// longest waiting receiver goes first.
func (db *DB) serve(tx *txn) (served []*receiver, err error) {
	db.held = false
	if len(db.receivers) == 0 || !db.scheduler.waits() {
		return nil, nil
	}
	if db.stuck {
		db.held = true // nothing can be written, not even that it begins
		return nil, nil
	}
	calls := db.disk.calls(db.opts.MaxResponse)
	waiting := db.receivers[:0]
	for _, r := range db.receivers {
		credit := r.credit
		credit.Count = min(credit.Count, calls-len(db.leases))
		if credit.Count <= 0 {
			db.held = true
			waiting = append(waiting, r)
			continue
		}
		for _, e := range db.scheduler.take(credit) {
			l, err := tx.start(r.consumer, e)
			if err != nil {
				return nil, err
			}
			r.leases = append(r.leases, l)
		}
		if len(r.leases) == 0 {
			waiting = append(waiting, r)
			continue
		}
		served = append(served, r)
	}
	clear(db.receivers[len(waiting):])
	db.receivers = waiting
	return served, nil
}

// start begins one entry: its record becomes PROCESSING with a new token, and the delivery is counted.
func (tx *txn) start(c *Consumer, e entry) (*lease, error) {
	r, err := tx.row(e.id)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Status.Final() || r.place != (place{seq: e.seq}) {
		return nil, fmt.Errorf("queued request %s has no matching record: %w", e.id, errCorrupt)
	}
	r.Status, r.UpdatedAt, r.NextAttemptAt = domain.Processing, tx.now, time.Time{}
	r.Deliveries++
	r.token = tx.next()
	tx.save(r)
	l := &lease{
		row: r, queue: tx.db.scheduler.queue(e.queue), entry: e, consumer: c,
		record: r.Record, answered: r.answered, token: formatToken(r.token),
	}
	l.held, l.lose = context.WithCancelCause(context.Background())
	tx.db.leases[e.id] = l
	c.held[e.id] = struct{}{}
	return l, nil
}

// forget removes a lease.
func (db *DB) forget(l *lease) {
	delete(db.leases, l.row.ID)
	delete(l.consumer.held, l.row.ID)
}

// reclaim ends the leases of consumers that have ended, once their time is over, and makes the requests ready again.
func (db *DB) reclaim(tx *txn) error {
	now := tx.now.UnixMilli()
	for c := range db.gone {
		if c.expires > now {
			continue
		}
		delete(db.gone, c)
		for id := range c.held {
			l := db.leases[id]
			db.forget(l)
			l.queue.handBack(l.entry)
			l.lose(ports.ErrLost)
			l.row.Status, l.row.UpdatedAt = domain.Pending, tx.now
			tx.save(l.row)
		}
	}
	return nil
}

// canServeMore reports whether a receiver waits for entries that are on disk but not in memory.
func (db *DB) canServeMore() bool {
	if len(db.receivers) == 0 {
		return false
	}
	for _, q := range db.scheduler.queues {
		if len(q.window) == 0 && q.waiting() > 0 {
			return true
		}
	}
	return false
}

// endReceivers ends the waiting receivers that match, with ports.ErrClosed.
func (db *DB) endReceivers(matches func(*receiver) bool) {
	db.receivers = slices.DeleteFunc(db.receivers, func(r *receiver) bool {
		if !matches(r) {
			return false
		}
		r.end(ports.ErrClosed)
		return true
	})
}

func formatToken(token uint64) string { return strconv.FormatUint(token, 36) }
