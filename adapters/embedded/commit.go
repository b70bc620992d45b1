package embedded

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

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

// groups splits n items so that each part adds no more to a batch than a group should; an item that is larger is alone.
func groups(n int, bytes func(int) int) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for from := 0; from < n; {
			to, total := from+1, bytes(from)
			for to < n && total+bytes(to) <= maxGroupBytes {
				total += bytes(to)
				to++
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
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
	defer db.dismissReceivers(func(*receiver) bool { return true })
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
	for c := range db.gone {
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
	db.waiting.Wake(tx.finals...)
	db.tellEnded(tx)
	return nil
}

func (db *DB) tellEnded(tx *txn) {
	if db.opts.Ended == nil {
		return
	}
	for _, id := range tx.finals {
		r := tx.rows[id]
		rec := r.Record
		rec.Result = r.result()
		db.opts.Ended(rec)
	}
}
