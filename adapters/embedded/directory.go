package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// The marker file says that a directory is ours. It is "creating" until the first database is complete, and "ready"
// from then on: a ready directory without its database is damaged, not new.
const (
	markerName     = "OPENHQM"
	markerCreating = "openhqm data, format 1, creating\n"
	markerReady    = "openhqm data, format 1, ready\n"
	newMarkerName  = markerName + ".new"
	lockName       = "LOCK"
	databaseName   = "db"
)

// directory is embedded.dir, locked for this process.
type directory struct {
	path  string
	lock  io.Closer
	ready bool
}

// openDirectory creates the directory if need be, checks that it is ours or empty, and locks it.
func openDirectory(path string) (*directory, error) {
	if err := makeDirectory(path); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if err := checkOurs(path); err != nil {
		return nil, err
	}
	lock, err := vfs.Default.Lock(filepath.Join(path, lockName))
	var unusable *fs.PathError // the lock file itself: no permission, a read-only disk
	switch {
	case errors.As(err, &unusable):
		return nil, fmt.Errorf("lock data directory: %w", err)
	case err != nil:
		return nil, fmt.Errorf("data directory %s is in use by another process (%w)", path, err)
	}
	d := &directory{path: path, lock: lock}
	if err := d.readMarker(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// makeDirectory creates a directory and its parents durably: a power cut that undid them would lose everything in them.
func makeDirectory(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	parent := filepath.Dir(path)
	if err := makeDirectory(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDirectory(parent)
}

// checkOurs refuses a directory that has files but no marker, before anything is written there.
func checkOurs(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	foreign := ""
	for _, entry := range entries {
		switch entry.Name() {
		case markerName:
			return nil
		case lockName, newMarkerName: // of a start that was killed before it wrote the marker
		case "lost+found": // at the root of a file system
		default:
			foreign = entry.Name()
		}
	}
	if foreign != "" {
		return fmt.Errorf("data directory %s holds %q but no %s file: it is not a data directory of OpenHQM; "+
			"choose another embedded.dir", path, foreign, markerName)
	}
	return nil
}

// readMarker reads whether the database was ever complete, and marks a new directory as ours.
func (d *directory) readMarker() error {
	marker, err := os.ReadFile(filepath.Join(d.path, markerName))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return d.mark(markerCreating)
	case err != nil:
		return fmt.Errorf("read data directory: %w", err)
	case string(marker) == markerReady:
		d.ready = true
		return nil
	case string(marker) == markerCreating:
		return nil
	default:
		return fmt.Errorf("data directory %s has the marker %q, which this version does not know", d.path,
			strings.TrimSpace(string(marker[:min(len(marker), 80)])))
	}
}

// markReady marks the database as complete.
func (d *directory) markReady() error {
	if d.ready {
		return nil
	}
	return d.mark(markerReady)
}

// mark replaces the marker durably: it writes and fsyncs a new file, renames it and fsyncs the directory.
func (d *directory) mark(text string) error {
	temporary := filepath.Join(d.path, newMarkerName)
	if err := writeSynced(temporary, text); err != nil {
		return fmt.Errorf("mark data directory: %w", err)
	}
	if err := os.Rename(temporary, filepath.Join(d.path, markerName)); err != nil {
		return fmt.Errorf("mark data directory: %w", err)
	}
	return syncDirectory(d.path)
}

// syncDirectory makes durable what was created or renamed in a directory.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (d *directory) close() error { return d.lock.Close() }

// plentyBytes is the size of memtables from which on memory is no concern.
const plentyBytes = 16 << 20

// openPebble opens the database. While a memtable is flushed there are two. Pebble takes them out of the cache, so the
// cache should be larger than both, or every read of a backlog goes to the disk.
func (d *directory) openPebble(opts Options) (*pebble.DB, error) {
	files := opts.FS
	if files == nil {
		files = vfs.Default
	}
	cache := pebble.NewCache(opts.CacheBytes)
	defer cache.Unref()
	logger := pebbleLogger{opts.Logger}
	options := &pebble.Options{
		// Set even for the disk. Otherwise Pebble wraps it to detect slow disks, with a goroutine that outlives a failed
		// Open.
		FS:                          files,
		Cache:                       cache,
		MaxOpenFiles:                opts.MaxOpenFiles,
		MemTableSize:                opts.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      logger,
		EventListener:               logger.events(),
		// A ready directory must have its database.
		ErrorIfNotExists: d.ready,
	}
	if opts.MemTableBytes < plentyBytes {
		// A compaction holds a block of each of its tables, which may be as large as a body. So it begins early, and writes
		// wait for it.
		options.L0CompactionThreshold, options.L0StopWritesThreshold = 2, 3
	}
	// Requests are mostly there when they are read, but idempotency keys mostly are not.
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	kv, err := pebble.Open(filepath.Join(d.path, databaseName), options)
	if err != nil {
		return nil, fmt.Errorf("open database in %s (damaged, or created by another version?): %w", d.path, err)
	}
	return kv, nil
}

// pebbleLogger passes on what an operator should see. Pebble's informational messages are for its developers.
type pebbleLogger struct{ log *slog.Logger }

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
	os.Exit(1)
}

func (l pebbleLogger) events() *pebble.EventListener {
	var stalls outage.Rarely // writes come from the committer alone, one after the other
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if errors.Is(err, syscall.ENOSPC) {
				// Pebble would retry at once and for ever, even while it opens: a process that neither serves nor ends.
				l.Fatalf("the disk is full: %v", err)
			}
			l.log.Error("embedded database failed in the background; it retries by itself", "error", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.log.Error("embedded database is corrupt: restore a backup, or check the disk",
				"path", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			if n := stalls.Note(time.Now()); n > 0 {
				l.log.Warn("embedded database: writes wait for the disk to catch up", "reason", info.Reason, "times", n)
			}
		},
	}
}

// freeSpace checks for free disk space. It asks the file system at most once a second. It is safe for concurrent use.
type freeSpace struct {
	dir     string
	minimum uint64
	now     func() time.Time

	mu    sync.Mutex
	asked time.Time
	err   error
}

func newFreeSpace(dir string, minimum uint64, now func() time.Time) *freeSpace {
	return &freeSpace{dir: dir, minimum: minimum, now: now}
}

// check returns an error that matches ports.ErrFull when less than the minimum is free.
func (s *freeSpace) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if !s.asked.IsZero() && now.Sub(s.asked) < time.Second && !now.Before(s.asked) {
		return s.err
	}
	s.asked = now
	usage, err := vfs.Default.GetDiskUsage(s.dir)
	switch {
	case err != nil:
		s.err = fmt.Errorf("%w: check free disk space: %w", ports.ErrUnavailable, err)
	case usage.AvailBytes < s.minimum:
		s.err = fmt.Errorf("%w: the disk has less free space than embedded.min_free", ports.ErrFull)
	default:
		s.err = nil
	}
	return s.err
}
