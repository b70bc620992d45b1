package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// plentyBytes is the size of memtables from which on memory is no concern.
const plentyBytes = 16 << 20

// openPebble opens the database. Read-only it writes nothing, so that it also opens on a full disk.
//
// While a memtable is flushed there are two. Pebble takes them out of the cache, so the cache should be larger than
// both, or every read of a backlog goes to the disk.
func (db *DB) openPebble() (*pebble.DB, error) {
	db.log.opening.Store(!db.readOnly)
	defer db.log.opening.Store(false)
	cache := pebble.NewCache(db.opts.CacheBytes)
	defer cache.Unref()
	options := &pebble.Options{
		// Set even for the disk. Otherwise Pebble wraps it to detect slow disks, with a goroutine that outlives a failed
		// Open.
		FS:                          db.files,
		ReadOnly:                    db.readOnly,
		Cache:                       cache,
		MaxOpenFiles:                db.opts.MaxOpenFiles,
		MemTableSize:                db.opts.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      db.log,
		EventListener:               db.log.events(),
		// A ready directory must have its database.
		ErrorIfNotExists: db.dir.ready,
	}
	if db.opts.MemTableBytes < plentyBytes {
		// A compaction holds a block of each of its tables, which may be as large as a body. So it begins early, and writes
		// wait for it.
		options.L0CompactionThreshold, options.L0StopWritesThreshold = 2, 3
	}
	// Requests are mostly there when they are read, but idempotency keys mostly are not.
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	kv, err := pebble.Open(db.databaseDir(), options)
	if err != nil {
		return nil, fmt.Errorf("open database in %s (damaged, or created by another version?): %w", db.opts.Dir, err)
	}
	return kv, nil
}

// pebbleLogger passes on what an operator should see. Pebble's informational messages are for its developers.
type pebbleLogger struct {
	log     *slog.Logger
	exit    func()       // ends the process
	opening *atomic.Bool // Pebble is being opened for writing
	damage  *damage
}

// Infof drops the message.
func (pebbleLogger) Infof(string, ...any) {}

// Errorf logs the message.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("embedded database reported an error", "error", fmt.Sprintf(format, args...))
}

// Fatalf ends the process. Pebble calls it when the write-ahead log cannot be written, and going on would confirm what
// is not durable. Everything that was confirmed is on disk.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.log.Error("embedded database failed; the process ends (check the disk)", "error", fmt.Sprintf(format, args...))
	l.exit()
}

// fullPause is how long a background job of Pebble waits that found the disk full. Pebble would retry at once.
const fullPause = 500 * time.Millisecond

func (l pebbleLogger) events() *pebble.EventListener {
	var stalls outage.Rarely // writes come from the committer alone, one after the other
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			switch {
			case errors.Is(err, syscall.ENOSPC) && l.opening.Load():
				// The open would not return until there is room. The next start finds too little room, and only reads.
				l.Fatalf("the disk is full: %v", err)
			case errors.Is(err, syscall.ENOSPC):
				// The disk's own check logs it.
				<-time.After(fullPause)
			case pebble.IsCorruptionError(err): // DataCorruption logs it
			default:
				l.log.Error("embedded database failed in the background; it retries by itself", "error", err)
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if l.damage.note(info.Path) {
				l.log.Error("embedded database is damaged: restore a backup, or check the disk",
					"path", info.Path, "error", info.Details)
			}
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			if n := stalls.Note(time.Now()); n > 0 {
				l.log.Warn("embedded database: writes wait for the disk to catch up", "reason", info.Reason, "times", n)
			}
		},
	}
}

// damage holds the files that Pebble found damaged. It is safe for concurrent use.
type damage struct {
	mu    sync.Mutex
	paths []string
}

// note adds a file. It returns false when the file is known.
func (d *damage) note(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.paths, path) {
		return false
	}
	d.paths = append(d.paths, path)
	return true
}

// err returns an error that names the damaged files; nil: there are none.
func (d *damage) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.paths) == 0 {
		return nil
	}
	return fmt.Errorf("%w: damaged files: %s", ports.ErrUnavailable, strings.Join(d.paths, ", "))
}
