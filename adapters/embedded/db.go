// Package embedded keeps queue and store in one Pebble database on the local disk. It is the default: no broker, one
// process, and an fsync before every answer.
//
// One goroutine, the committer, makes every change. It takes all operations that wait, applies them to one batch,
// commits that with an fsync and answers them all: so an operation is one atomic step, no two race, and the fsync is
// shared (group commit) without a timer. What the scheduler must know to choose is in memory and bounded; everything
// else is on disk.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/waitlist"
	"github.com/openhqm/openhqm/ports"
)

// Options of a database. All durations and limits come from the configuration; there are no defaults here.
type Options struct {
	Dir           string
	MinFree       uint64        // bytes; with less on the disk nothing is accepted
	MaxDepth      int64         // unfinished requests; 0: no limit
	Lease         time.Duration // of a delivery whose consumer is gone
	TTL           time.Duration // of a record from its final state on
	DeadLetterTTL time.Duration
	Now           func() time.Time
	Ended         func(domain.Record) // told of what became final and is durable; nil: nobody; must not block
	Logger        *slog.Logger

	// FS holds the files of the database; nil: the disk. The directory's marker and lock are on the disk all the same.
	FS vfs.FS
}

// DB is an open database. It implements ports.Intake, ports.Results, ports.Gauge and ports.Probe; consumers made by
// NewConsumer implement ports.Work.
type DB struct {
	opts  Options
	dir   *directory
	kv    *pebble.DB
	space *freeSpace

	ops     chan *op
	closing chan struct{} // closed by Close: nothing more is taken in
	done    chan struct{} // closed when the committer has ended
	failure error         // why it ended by itself; read after done
	once    sync.Once

	durable   atomic.Uint64 // the last group that is on disk
	inherited uint64        // tokens up to this one were given out by processes before this one
	waiting   waitlist.List // for requests to become final
	reads     sync.RWMutex  // held for reading by reads under way, which Close must let end
	closed    bool          // guarded by reads

	committer // owned by the committer's goroutine
}

// committer is the state that only the committer's goroutine touches.
type committer struct {
	totals    totals
	scheduler *scheduler
	leases    map[domain.ID]*lease
	gone      map[*Consumer]struct{} // consumers that have ended and whose leases still run
	receivers []*receiver
	due       timeline
	expiry    timeline
}

var (
	_ ports.Intake  = (*DB)(nil)
	_ ports.Results = (*DB)(nil)
	_ ports.Gauge   = (*DB)(nil)
	_ ports.Probe   = (*DB)(nil)
)

// Open opens the database in opts.Dir, makes one if the directory is empty or missing, and begins to serve. A directory
// that holds anything else, a damaged database, or one that another process has open is an error.
func Open(opts Options) (*DB, error) {
	dir, err := openDirectory(opts.Dir)
	if err != nil {
		return nil, err
	}
	db := &DB{
		opts: opts, dir: dir,
		ops:     make(chan *op, maxGroupOps),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		space:   newFreeSpace(opts.Dir, opts.MinFree, opts.Now),
		committer: committer{
			scheduler: newScheduler(),
			leases:    make(map[domain.ID]*lease),
			gone:      make(map[*Consumer]struct{}),
		},
	}
	if db.kv, err = dir.openPebble(opts.FS, opts.Logger); err != nil {
		return nil, errors.Join(err, dir.close())
	}
	if err = db.load(); err == nil {
		err = dir.markReady()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database in %s: %w", opts.Dir, err), db.kv.Close(), dir.close())
	}
	go db.run()
	return db, nil
}

// load reads what the committer keeps in memory: the totals and each queue's counters.
func (db *DB) load() error {
	value, err := db.get(totalsKey)
	if err != nil {
		return err
	}
	if value != nil {
		if db.totals, err = decodeTotals(value); err != nil {
			return err
		}
	}
	db.durable.Store(db.totals.group)
	db.inherited = db.totals.seq
	return db.scan([]byte{prefixQueue}, []byte{prefixQueue + 1}, func(key, value []byte) (bool, error) {
		q, err := decodeQueue(parseQueueKey(key), value)
		if err == nil {
			db.scheduler.add(q)
		}
		return true, err
	})
}

// Close ends the committer after what it has begun, and closes the database. Operations that come later, and receivers
// that wait, get ports.ErrClosed. It blocks until all is closed; again it does nothing.
func (db *DB) Close() error {
	var err error
	db.once.Do(func() {
		close(db.closing)
		<-db.done
		db.reads.Lock()
		db.closed = true
		db.reads.Unlock()
		err = errors.Join(db.kv.Close(), db.dir.close())
	})
	return err
}

// Done is closed when the database serves no more; Err then tells why.
func (db *DB) Done() <-chan struct{} { return db.done }

// Err is nil after Close, and the cause when the database failed by itself. To be called after Done.
func (db *DB) Err() error { return db.failure }

// Depths counts exactly.
func (db *DB) Depths(ctx context.Context) (ports.Depths, error) {
	var d ports.Depths
	err := db.do(ctx, 0, func(*txn) error {
		for _, q := range db.scheduler.queues {
			d.Ready += q.waiting()
		}
		d.Delayed = db.totals.delayed
		d.Leased = int64(len(db.leases))
		d.DeadLetters = db.totals.deadLetters
		d.OldestReady = db.scheduler.oldest()
		return nil
	})
	if err != nil {
		return ports.Depths{}, err // the committer may still be writing into d
	}
	return d, nil
}

// Probe writes and fsyncs.
func (db *DB) Probe(ctx context.Context) error {
	return db.do(ctx, 0, func(tx *txn) error {
		tx.dirty = true
		return nil
	})
}

// enter begins a read of the database from outside the committer; leave ends it. It reports false when closed.
func (db *DB) enter() bool {
	db.reads.RLock()
	if db.closed {
		db.reads.RUnlock()
		return false
	}
	return true
}

func (db *DB) leave() { db.reads.RUnlock() }

// get returns a copy of a value, or nil if there is none.
func (db *DB) get(key []byte) ([]byte, error) {
	value, closer, err := db.kv.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	out := append(make([]byte, 0, len(value)), value...)
	return out, closer.Close()
}

// scan walks the keys in [from, to) until visit says stop.
func (db *DB) scan(from, to []byte, visit func(key, value []byte) (bool, error)) error {
	iter, err := db.kv.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	for iter.First(); iter.Valid(); iter.Next() {
		more, err := visit(iter.Key(), iter.Value())
		if err != nil || !more {
			return errors.Join(err, iter.Close())
		}
	}
	if err := iter.Close(); err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	return nil
}
