package embedded

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Bounds of one group commit: it must fit into a memtable, and nobody should wait long for the others in it.
const (
	maxGroupOps   = 1024
	maxGroupBytes = 8 << 20
	maxGroupDue   = 512 // due or expired rows handled with one group

	raiseEvery = 64 // groups between two notes of where a queue's rows begin
)

// op is one operation on its way through the committer.
type op struct {
	apply func(*txn) error // runs in the committer's goroutine; on an error it must have changed nothing
	bytes int              // about what it adds to the batch
	err   error            // read after done
	done  chan struct{}    // closed when its group is durable
}

func newOp(apply func(*txn) error) *op {
	return &op{apply: apply, done: make(chan struct{})}
}

// do runs apply in the committer and returns when it is durable. When ctx ends first, or the database closes, it may
// still be applied.
func (db *DB) do(ctx context.Context, bytes int, apply func(*txn) error) error {
	o := newOp(apply)
	o.bytes = bytes
	if err := db.send(ctx, o); err != nil {
		return err
	}
	select {
	case <-o.done:
		return o.err
	case <-db.done:
		return db.answered(o)
	case <-ctx.Done():
		return fmt.Errorf("%w: not confirmed by the disk in time: %w", ports.ErrUnavailable, context.Cause(ctx))
	}
}

// send hands an operation to the committer.
func (db *DB) send(ctx context.Context, o *op) error {
	select {
	case <-db.closing:
		return ports.ErrClosed
	default:
	}
	select {
	case db.ops <- o:
		return nil
	case <-db.closing:
		return ports.ErrClosed
	case <-db.done:
		return db.ended()
	case <-ctx.Done():
		return fmt.Errorf("%w: the disk does not keep up: %w", ports.ErrUnavailable, context.Cause(ctx))
	}
}

// answered gives the answer to an operation after the committer has ended: it may have been among the last.
func (db *DB) answered(o *op) error {
	select {
	case <-o.done:
		return o.err
	default:
		return db.ended()
	}
}

// ended tells why an operation got no answer. It is called after db.done is closed.
func (db *DB) ended() error {
	if db.failure != nil {
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, db.failure)
	}
	return ports.ErrClosed
}

// run is the committer.
func (db *DB) run() {
	defer close(db.done)
	defer db.dismissReceivers()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		ops, open := db.gather(timer)
		if err := db.group(ops); err != nil {
			db.failure = err
			db.opts.Logger.Error("embedded database: cannot go on", "error", err)
			return
		}
		if !open {
			return
		}
	}
}

// gather blocks for the first operation or the next moment something is due, and then takes what waits. It reports
// false when the database is to close; what came before is in ops.
func (db *DB) gather(timer *time.Timer) (ops []*op, open bool) {
	timer.Reset(db.idle())
	bytes := 0
	select {
	case o := <-db.ops:
		ops, bytes = append(ops, o), o.bytes
	case <-timer.C:
	case <-db.closing:
		open = false
		return db.drain(ops, bytes), open
	}
	return db.drain(ops, bytes), true
}

// drain takes the operations that wait, within the bounds of a group.
func (db *DB) drain(ops []*op, bytes int) []*op {
	for len(ops) < maxGroupOps && bytes < maxGroupBytes {
		select {
		case o := <-db.ops:
			ops, bytes = append(ops, o), bytes+o.bytes
		default:
			return ops
		}
	}
	return ops
}

// idle is how long there is nothing to do if nobody asks for anything.
func (db *DB) idle() time.Duration {
	now := db.opts.Now()
	if db.canServeMore() {
		return 0
	}
	next := min(db.due.next, db.expiry.next)
	for c := range db.consumers {
		next = min(next, c.expires)
	}
	if next == math.MaxInt64 {
		return math.MaxInt64
	}
	return max(0, time.UnixMilli(next).Sub(now))
}

// group applies the operations and whatever is due, commits, and answers. An error is one of the database: nobody got
// an answer, and the state in memory is ahead of the disk.
func (db *DB) group(ops []*op) error {
	tx := db.begin()
	defer func() { _ = tx.batch.Close() }()
	for _, step := range []func(*txn) error{db.refill, db.moveDue, db.expire, db.reclaim} {
		if err := step(tx); err != nil {
			return err
		}
	}
	for _, o := range ops {
		o.err = o.apply(tx)
	}
	served, err := db.serve(tx)
	if err != nil {
		return err
	}
	if err := tx.commit(); err != nil {
		return err
	}
	for _, o := range ops {
		close(o.done)
	}
	for _, r := range served {
		close(r.done)
	}
	db.waiters.wake(tx.finals)
	return nil
}

// txn collects the changes of one group.
type txn struct {
	db    *DB
	now   time.Time
	batch *pebble.Batch
	err   error // the first fault of the batch
	dirty bool  // something is to be committed

	rows   map[domain.ID]*row // rows read or changed in this group
	keys   map[string]idempotency
	queues map[*queue]struct{} // whose counters changed
	finals []domain.ID
}

func (db *DB) begin() *txn {
	db.totals.group++
	return &txn{
		db: db, now: db.opts.Now(), batch: db.kv.NewBatch(),
		rows:   make(map[domain.ID]*row),
		keys:   make(map[string]idempotency),
		queues: make(map[*queue]struct{}),
	}
}

// commit makes the group durable. A group that changed nothing costs nothing.
func (tx *txn) commit() error {
	if !tx.dirty {
		tx.db.totals.group--
		return tx.err
	}
	for q := range tx.queues {
		if tx.db.totals.group%raiseEvery == 0 {
			tx.db.raiseFrom(q)
		}
		tx.set(queueKey(q.id), encodeQueue(q))
	}
	tx.set(totalsKey, encodeTotals(&tx.db.totals))
	if tx.err != nil {
		return fmt.Errorf("write database: %w", tx.err)
	}
	if err := tx.batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("write database: %w", err)
	}
	tx.db.durable.Store(tx.db.totals.group)
	return nil
}

func (tx *txn) set(key, value []byte) {
	tx.dirty = true
	if err := tx.batch.Set(key, value, nil); err != nil && tx.err == nil {
		tx.err = err
	}
}

func (tx *txn) delete(key []byte) {
	tx.dirty = true
	if err := tx.batch.Delete(key, nil); err != nil && tx.err == nil {
		tx.err = err
	}
}

// row returns a record as this group sees it, or nil.
func (tx *txn) row(id domain.ID) (*row, error) {
	if r, ok := tx.rows[id]; ok {
		return r, nil
	}
	if l := tx.db.leases[id]; l != nil {
		return l.row, nil
	}
	r, err := tx.db.readRow(id)
	if r != nil {
		tx.rows[id] = r
	}
	return r, err
}

// save writes a row that was changed.
func (tx *txn) save(r *row) {
	r.group = tx.db.totals.group
	tx.rows[r.ID] = r
	tx.set(idKey(prefixRecord, r.ID), encodeRow(r))
}

// next returns a number that was never given out before.
func (tx *txn) next() uint64 {
	tx.db.totals.seq++
	return tx.db.totals.seq
}

// enqueue puts an unfinished request where it waits: among the ready, or until at if that is to come.
func (tx *txn) enqueue(r *row, at time.Time) {
	w := waiting{id: r.ID, queue: queueOf(r), size: r.size, since: tx.now.UnixMilli()}
	seq := tx.next()
	if at.After(tx.now) {
		// Rounded up: nothing is due before its time.
		due := at.Add(time.Millisecond - 1).UnixMilli()
		r.place, r.NextAttemptAt = place{seq: seq, due: due}, at
		tx.set(dueKey(due, seq), encodeWaiting(&w))
		tx.db.totals.delayed++
		tx.db.due.add(due)
		return
	}
	r.place, r.NextAttemptAt = place{seq: seq}, time.Time{}
	q := tx.db.scheduler.queue(w.queue)
	q.push(entry{waiting: w, seq: seq})
	tx.queues[q] = struct{}{}
	tx.set(readyKey(w.queue, seq), encodeWaiting(&w))
}

// dequeue takes an unfinished request that nobody holds out of where it waits.
func (tx *txn) dequeue(r *row) {
	if r.place.due != 0 {
		tx.delete(dueKey(r.place.due, r.place.seq))
		tx.db.totals.delayed--
		return
	}
	q := tx.db.scheduler.queue(queueOf(r))
	q.remove(r.place.seq)
	tx.queues[q] = struct{}{}
	tx.delete(readyKey(q.id, r.place.seq))
}

// end makes a request final that is in no queue any more, with everything that this owes.
func (tx *txn) end(r *row, out domain.Outcome) {
	r.Status, r.UpdatedAt, r.NextAttemptAt = out.Status, out.At, time.Time{}
	r.reason, r.problem = out.Reason, out.Error
	r.completedAt, r.processingTime = out.At, out.ProcessingTime
	if r.Status == domain.Cancelled && r.answered {
		tx.delete(idKey(prefixResponse, r.ID))
		r.answered = false
	}
	if r.Status.DeadLettered() {
		tx.bury(r)
	} else {
		tx.delete(idKey(prefixRequest, r.ID))
	}
	if r.idempotency != "" && (r.Status == domain.Failed || r.Status == domain.Cancelled) {
		tx.freeKey(r)
	}
	tx.expireAt(r, tx.now.Add(tx.db.opts.TTL))
	tx.save(r)
	tx.finals = append(tx.finals, r.ID)
}

// bury makes a dead letter; the original stays under its request key.
func (tx *txn) bury(r *row) {
	key := deadLetterKey(tx.now.UnixMilli(), r.ID)
	tx.set(key, encodeRow(r))
	tx.db.totals.deadLetters++
	at := tx.now.Add(tx.db.opts.DeadLetterTTL).UnixMilli()
	tx.set(expiryKey(at, expireDeadLetter, key), nil)
	tx.db.expiry.add(at)
}

// expireAt moves the row's entry in the expiry index.
func (tx *txn) expireAt(r *row, at time.Time) {
	if r.expires != 0 {
		tx.delete(expiryKey(r.expires, expireRecord, []byte(r.ID)))
	}
	r.expires = at.UnixMilli()
	tx.set(expiryKey(r.expires, expireRecord, []byte(r.ID)), nil)
	tx.db.expiry.add(r.expires)
}

func queueOf(r *row) queueID {
	request := domain.Request{Priority: r.Priority}
	return queueID{lane: request.Lane(), endpoint: r.Endpoint}
}
