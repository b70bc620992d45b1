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
	"os"
	"path/filepath"
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
	MinFree       uint64              // bytes; with less free disk space no request is accepted and no call begins
	MaxResponse   int64               // bytes; the disk must have room for one of each call in progress; 0: not known
	CacheBytes    int64               // memory for blocks that were read
	MemTableBytes uint64              // memory for changes before they are written to tables, up to four times
	MaxDepth      int64               // unfinished requests; 0: no limit
	Lease         time.Duration       // of deliveries whose Consumer has ended
	TTL           time.Duration       // of a record, from its final state on
	DeadLetterTTL time.Duration       // of a dead letter
	Now           func() time.Time    // safe for concurrent use
	Ended         func(domain.Record) // called with each record that is final and durable; must not block; nil: not called
	Logger        *slog.Logger
	Exit          func() // ends the process; called when it must not go on, after that was logged; nil: os.Exit(1)
	MaxOpenFiles  int    // of the database, about; 0: 1000

	// Repair makes Open go on without what is damaged or missing in the write-ahead log. Otherwise that is an error.
	Repair bool

	Moving bool // for Moves: also a directory is opened whose contents were moved or are being moved

	// FS holds the files of the database; nil: the disk. The directory's marker and lock are always on the disk.
	FS vfs.FS
}

// DB is an open database. It implements ports.Intake, ports.Results, ports.Gauge and ports.Probe; a Consumer implements
// ports.Work. It is safe for concurrent use.
type DB struct {
	opts  Options
	dir   *directory
	kv    *pebble.DB // replaced by the committer, while it holds reads
	disk  *disk
	files *files
	mark  *mark // nil until the database is open for writing
	log   pebbleLogger
	waste waste
	logs  sync.Mutex // held while the logs are copied to a backup, or emptied

	ops     chan *op
	closing chan struct{} // closed by Close: no more operations
	done    chan struct{} // closed when the committer has ended
	failure error         // why it ended by itself; valid after done
	once    sync.Once
	upkeep  sync.WaitGroup // the goroutine that looks after the disk

	durable   atomic.Uint64 // the last group that is on disk
	inherited uint64        // tokens up to this one are from earlier processes
	waiting   waitlist.List // for requests to become final
	reads     sync.RWMutex  // read-locked by running reads, which Close and a replacement of kv wait for
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
	readOnly  bool // the database was opened without room to write
	held      bool // requests wait for room on the disk
	stuck     bool // nothing can be written for lack of room
}

var (
	_ ports.Intake  = (*DB)(nil)
	_ ports.Results = (*DB)(nil)
	_ ports.Gauge   = (*DB)(nil)
	_ ports.Probe   = (*DB)(nil)
)

// Open opens the database in opts.Dir, or creates one if the directory is empty or missing. It returns an error when
// the directory holds anything else, when it belongs to another user, when the database is damaged, and when another
// process has it open. On a full disk the database opens read-only, until there is room. Close releases it.
func Open(opts Options) (*DB, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	dir, err := openDirectory(opts.Dir)
	if err != nil {
		return nil, err
	}
	if !opts.Moving {
		if err := dir.refuseMoved(); err != nil {
			return nil, errors.Join(err, dir.close())
		}
	}
	db := newDB(opts, dir)
	if err := db.open(); err != nil {
		return nil, errors.Join(err, db.closeFiles())
	}
	go db.run()
	db.upkeep.Go(db.lookAfterDisk)
	return db, nil
}

func newDB(opts Options, dir *directory) *DB {
	if opts.Exit == nil {
		opts.Exit = func() { os.Exit(1) }
	}
	return &DB{
		opts: opts, dir: dir,
		files:   &files{FS: opts.FS},
		log:     pebbleLogger{opts.Logger, opts.Exit, new(atomic.Bool), new(damage)},
		ops:     make(chan *op, maxGroupOps),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		committer: committer{
			scheduler: newScheduler(),
			leases:    make(map[domain.ID]*lease),
			gone:      make(map[*Consumer]struct{}),
		},
	}
}

// open opens the files and loads what the committer keeps in memory. An existing database is read first without a
// change to it.
func (db *DB) open() (err error) {
	if db.readOnly = db.dir.ready; !db.readOnly {
		if db.kv, err = db.openPebble(); err != nil {
			return err
		}
	} else if err = db.openWhole(); err != nil {
		return err
	}
	if err = db.load(); err == nil {
		err = db.dir.markReady()
	}
	if err == nil {
		err = db.checkMark()
	}
	if err == nil {
		db.disk, err = newDisk(&db.opts)
	}
	if err != nil {
		return fmt.Errorf("open database in %s: %w", db.opts.Dir, err)
	}
	if db.readOnly {
		if err = db.disk.holdsDatabase(); errors.Is(err, ports.ErrStorageLow) {
			db.opts.Logger.Warn("disk: opened read-only, as there is no room to write; results can be fetched", "error", err)
			return nil
		}
		if err == nil {
			err = db.openForWriting()
		}
	} else {
		err = db.openMark()
	}
	if err == nil {
		err = guardFiles(db.opts.Dir) // those that are new
	}
	return err
}

// openWhole opens the database read-only. With Options.Repair it cuts a damaged write-ahead log off where the damage
// begins.
func (db *DB) openWhole() (err error) {
	db.kv, err = db.openPebble()
	if err == nil || !pebble.IsCorruptionError(err) {
		return err
	}
	damaged, cutErr := findDamagedLog(db.opts.FS, db.databaseDir())
	if cutErr != nil || damaged == nil {
		return errors.Join(err, cutErr)
	}
	if !db.opts.Repair {
		return fmt.Errorf("%s is damaged at byte %d, and what was confirmed after that is gone: restore a backup, or set "+
			"embedded.repair: true to go on with what is whole: %w", damaged.path, damaged.offset, err)
	}
	db.opts.Logger.Error("embedded database: the write-ahead log is damaged; what was confirmed after that is gone",
		"path", damaged.path, "offset", damaged.offset, "kept", filepath.Join(db.opts.Dir, damagedName))
	if err := db.keepLogs(); err != nil {
		return err
	}
	if err := damaged.cut(db.files); err != nil {
		return fmt.Errorf("repair %s: %w", damaged.path, err)
	}
	db.kv, err = db.openPebble()
	return err
}

func (db *DB) databaseDir() string { return filepath.Join(db.opts.Dir, databaseName) }

// openForWriting opens a database again that is open read-only. It blocks until running reads have ended.
func (db *DB) openForWriting() error {
	db.reads.Lock()
	defer db.reads.Unlock()
	err := db.kv.Close()
	db.kv = nil
	if err == nil {
		db.readOnly = false
		db.kv, err = db.openPebble()
	}
	if err == nil {
		err = db.openMark()
	}
	db.closed = err != nil
	return err
}

// closeFiles closes the database and releases the directory.
func (db *DB) closeFiles() error {
	var err error
	if db.kv != nil {
		err = db.kv.Close()
	}
	if db.mark != nil {
		err = errors.Join(err, db.mark.close())
	}
	return errors.Join(err, db.dir.close())
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
		db.upkeep.Wait()
		db.reads.Lock()
		db.closed = true
		db.reads.Unlock()
		err = db.closeFiles()
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

// Probe implements ports.Probe with a write and an fsync. It fails too when a part of the database is damaged.
func (db *DB) Probe(ctx context.Context) error {
	err := db.do(ctx, rowBytes, func(tx *txn) error {
		tx.dirty = true
		return nil
	})
	return errors.Join(err, db.log.damage.err())
}

// Disk returns the probe of the disk: whether it has the room that requests and results need.
func (db *DB) Disk() ports.Probe { return db.disk }

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
