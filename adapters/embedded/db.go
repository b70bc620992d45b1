// Package embedded is the native queue on the local disk: queue and store in one Pebble database. It is the default. It
// needs no broker, serves one process, and confirms nothing before an fsync.
//
// One goroutine, the committer, makes every change. It collects all waiting operations, applies them to one batch,
// commits that with an fsync, and answers them all. So each operation is atomic, no two race, and they share the fsync
// (group commit) without a timer. The state that the scheduler chooses from is in memory and bounded; everything else
// is on disk.
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

// Options configure a DB. There are no defaults: all durations and limits come from the configuration.
type Options struct {
	Dir           string
	MinFree       uint64              // bytes; with less free disk space no request is accepted
	CacheBytes    int64               // memory for blocks that were read
	MemTableBytes uint64              // memory for changes before they are written to tables, up to four times
	MaxDepth      int64               // unfinished requests; 0: no limit
	Lease         time.Duration       // of deliveries whose Consumer has ended
	TTL           time.Duration       // of a record, from its final state on
	DeadLetterTTL time.Duration       // of a dead letter
	Now           func() time.Time    // safe for concurrent use
	Ended         func(domain.Record) // called with each record that is final and durable; must not block; nil: not called
	Logger        *slog.Logger
	MaxOpenFiles  int  // of the database, about; 0: 1000
	Moving        bool // for Moves: also a directory is opened whose contents were moved or are being moved

	// FS holds the files of the database; nil: the disk. The directory's marker and lock are always on the disk.
	FS vfs.FS
}

// DB is an open database. It implements ports.Intake, ports.Results, ports.Gauge and ports.Probe; a Consumer implements
// ports.Work. It is safe for concurrent use.
type DB struct {
	opts  Options
	dir   *directory
	kv    *pebble.DB
	space *freeSpace

	ops     chan *op
	closing chan struct{} // closed by Close: no more operations
	done    chan struct{} // closed when the committer has ended
	failure error         // why it ended by itself; valid after done
	once    sync.Once

	durable   atomic.Uint64 // the last group that is on disk
	inherited uint64        // tokens up to this one are from earlier processes
	waiting   waitlist.List // for requests to become final
	reads     sync.RWMutex  // read-locked by running reads, which Close waits for
	closed    bool          // guarded by reads

	committer // owned by the committer's goroutine
}

// committer is the state that only the committer's goroutine may use.
type committer struct {
	totals    totals
	scheduler *scheduler
	leases    map[domain.ID]*lease
	gone      map[*Consumer]struct{} // consumers that have ended, but not yet their leases
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

// Open opens the database in opts.Dir, or creates one if the directory is empty or missing. It returns an error when
// the directory holds anything else, when the database is damaged, and when another process has it open. Close releases
// it.
func Open(opts Options) (*DB, error) {
	dir, err := openDirectory(opts.Dir)
	if err != nil {
		return nil, err
	}
	if !opts.Moving {
		if err := dir.refuseMoved(); err != nil {
			return nil, errors.Join(err, dir.close())
		}
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
	if db.kv, err = dir.openPebble(opts); err != nil {
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

// load reads what the committer keeps in memory: the totals and the counters of each queue.
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

// Close ends the committer after its current operations and closes the database. Later operations and waiting receivers
// get ports.ErrClosed. It blocks until everything is closed. A second call does nothing.
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

// Done returns a channel that is closed when the database has ended. Err then returns why.
func (db *DB) Done() <-chan struct{} { return db.done }

// Err returns nil after Close, and the cause when the database failed by itself. It is called after Done is closed.
func (db *DB) Err() error { return db.failure }

// Depths implements ports.Gauge. Its numbers are exact.
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
		return ports.Depths{}, err // not d: the committer may still write into it
	}
	return d, nil
}

// Probe implements ports.Probe with a write and an fsync.
func (db *DB) Probe(ctx context.Context) error {
	return db.do(ctx, 0, func(tx *txn) error {
		tx.dirty = true
		return nil
	})
}

// enter begins a read of the database from outside the committer; leave ends it. It returns false when closed.
func (db *DB) enter() bool {
	db.reads.RLock()
	if db.closed {
		db.reads.RUnlock()
		return false
	}
	return true
}

func (db *DB) leave() { db.reads.RUnlock() }

// get returns a copy of the value of a key; nil: there is none.
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

// scan visits the keys in [from, to) until visit returns false or an error.
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
