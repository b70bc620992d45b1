package embedded

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// Bounds of one group commit. It must fit into a memtable, and no operation should wait long for the others in it.
const (
	maxGroupOps   = 1024
	maxGroupBytes = 8 << 20
	maxGroupDue   = 512 // due or expired rows handled with one group

	raiseEvery = 64 // groups between two updates of where a queue's rows begin
)

// op is one operation on its way through the committer.
type op struct {
	apply func(*txn) error // runs in the committer's goroutine; must change nothing when it returns an error
	bytes int              // approximate size that it adds to the batch; 0: it changes nothing
	err   error            // valid after done
	done  chan struct{}    // closed when its group is durable
}

func newOp(apply func(*txn) error) *op {
	return &op{apply: apply, done: make(chan struct{})}
}

// do runs apply in the committer and blocks until its changes are durable. When ctx ends or the database closes before,
// they may still be applied.
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
		return db.resultOf(o)
	case <-ctx.Done():
		return fmt.Errorf("%w: the disk did not confirm the write in time: %w", ports.ErrUnavailable, context.Cause(ctx))
	}
}

// flush blocks until everything that could be read before is durable: what a client has seen must not be undone by a
// crash. An operation is answered after all earlier groups.
func (db *DB) flush(ctx context.Context) error { return db.do(ctx, 0, func(*txn) error { return nil }) }

// groups splits n items into ranges, each within the bounds of a group. A larger item is a range of its own.
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
		return db.endedErr()
	case <-ctx.Done():
		return fmt.Errorf("%w: the disk is too slow for the requests: %w", ports.ErrUnavailable, context.Cause(ctx))
	}
}

// resultOf returns the result of an operation after the committer has ended: it may have been among the last.
func (db *DB) resultOf(o *op) error {
	select {
	case <-o.done:
		return o.err
	default:
		return db.endedErr()
	}
}

// endedErr returns why an operation was not applied. It is called after db.done is closed.
func (db *DB) endedErr() error {
	if db.failure != nil {
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, db.failure)
	}
	return ports.ErrClosed
}

// run is the committer: it commits one group after the other until the database is closed or fails.
func (db *DB) run() {
	defer close(db.done)
	defer db.endReceivers(func(*receiver) bool { return true })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		ops, open := db.gather(timer)
		if err := db.group(ops); err != nil {
			db.failure = err
			db.opts.Logger.Error("embedded database failed; the process ends (check the disk)", "error", err)
			return
		}
		if !open {
			return
		}
	}
}

// gather blocks until there is an operation or a row is due, and returns the waiting operations. It returns false when
// the database is to be closed; ops are then the last ones.
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

// drain adds the waiting operations to ops, within the bounds of a group.
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

// diskPause is the time between two looks at a disk that has too little room.
const diskPause = time.Second

// idle returns how long there is nothing to do unless an operation comes.
func (db *DB) idle() time.Duration {
	if db.stuck {
		return diskPause
	}
	if db.canServeMore() {
		return 0
	}
	next := min(db.due.next, db.expiry.next)
	for c := range db.gone {
		next = min(next, c.expires)
	}
	wait := time.Duration(math.MaxInt64)
	if next != math.MaxInt64 {
		wait = max(0, time.UnixMilli(next).Sub(db.opts.Now()))
	}
	if db.held {
		wait = min(wait, diskPause)
	}
	return wait
}

// group applies what is due and the operations, commits, and answers the operations. On an error none is answered and
// the state in memory is ahead of the disk, so the database cannot go on.
func (db *DB) group(ops []*op) error {
	bytes := 0
	for _, o := range ops {
		bytes += o.bytes
	}
	refusal, err := db.refusal(bytes)
	if err != nil {
		return err
	}
	tx := db.begin(bytes)
	defer func() { _ = tx.batch.Close() }()
	steps := []func(*txn) error{db.refill, db.moveDue, db.expire, db.reclaim}
	if db.stuck {
		steps = steps[:1] // the others write
	}
	for _, step := range steps {
		if err := step(tx); err != nil {
			return err
		}
	}
	for _, o := range ops {
		if o.err = refusal; refusal == nil || o.bytes == 0 {
			o.err = o.apply(tx)
		}
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
	db.reportEnded(tx)
	return nil
}

// refusal returns why the changes of a group cannot be written: the disk has no room for them, or is gone. A database
// that is open read-only is first opened for writing if there is room for that.
func (db *DB) refusal(bytes int) (refusal, err error) {
	if db.readOnly {
		if refusal = db.disk.holdsDatabase(); refusal != nil {
			db.stuck = true
			return refusal, nil
		}
		if err = db.openForWriting(); err != nil {
			return nil, err
		}
		db.opts.Logger.Info("disk: there is room to write again; going on")
	}
	db.stuck = db.disk.holds(0, upkeepReserve) != nil
	return db.disk.holds(bytes, db.opts.MemTableBytes), nil
}

func (db *DB) reportEnded(tx *txn) {
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
