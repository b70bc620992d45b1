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

	"github.com/openhqm/openhqm/ports"
)

// The marker file tells our directory from others. It is "creating" until the first database is whole, and "ready" ever
// after: a ready directory without its database is damage, not a fresh start.
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

// openDirectory locks the directory and checks that it is ours, or empty.
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

// makeDirectory makes a directory and its parents, durably: what is in a directory that a power cut takes back is lost.
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

// checkOurs refuses a directory with files in it but no marker, before anything is written there.
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
		case lockName, newMarkerName: // of a start that was killed before it had a marker
		case "lost+found": // what a file system keeps at its root
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

// readMarker learns whether the database was ever whole, and marks a new directory as ours.
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
		return fmt.Errorf("data directory %s has a marker %q that this version does not know", d.path,
			strings.TrimSpace(string(marker[:min(len(marker), 80)])))
	}
}

// markReady notes that the database is whole from now on.
func (d *directory) markReady() error {
	if d.ready {
		return nil
	}
	return d.mark(markerReady)
}

// mark replaces the marker durably: a new file, fsynced, renamed, and the directory fsynced.
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

// syncDirectory makes durable what was made or renamed in a directory.
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

// Memory for Pebble. Two memtables of this size exist for moments while one is flushed. Pebble takes them out of the
// cache, so the cache must be larger than they are, or every read of a backlog goes to the disk.
const (
	memTableBytes = 16 << 20
	cacheBytes    = 64 << 20
)

func (d *directory) openPebble(files vfs.FS, log *slog.Logger) (*pebble.DB, error) {
	if files == nil {
		files = vfs.Default
	}
	cache := pebble.NewCache(cacheBytes)
	defer cache.Unref()
	logger := pebbleLogger{log}
	options := &pebble.Options{
		// Named, or Pebble puts a watch for slow disks before it, whose goroutine outlives an Open that fails.
		FS:                          files,
		Cache:                       cache,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 4,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      logger,
		EventListener:               logger.events(),
		// A ready directory must hold its database; a new one must not already hold another.
		ErrorIfNotExists: d.ready,
	}
	// Most reads by key are of requests that are there, but idempotency keys mostly are not.
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	kv, err := pebble.Open(filepath.Join(d.path, databaseName), options)
	if err != nil {
		return nil, fmt.Errorf("open database in %s (damaged, or made by another version?): %w", d.path, err)
	}
	return kv, nil
}

// pebbleLogger passes on what an operator should see. Pebble's own running commentary is for its developers.
type pebbleLogger struct{ log *slog.Logger }

// Infof drops the message.
func (pebbleLogger) Infof(string, ...any) {}

// Errorf logs.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("embedded database", "error", fmt.Sprintf(format, args...))
}

// Fatalf is called when the write-ahead log cannot be written: going on would answer 202 for what is not durable, so
// the process ends. What was answered is on disk.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.log.Error("embedded database: cannot go on", "error", fmt.Sprintf(format, args...))
	os.Exit(1)
}

func (l pebbleLogger) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if errors.Is(err, syscall.ENOSPC) {
				// Pebble tries again at once and without end, also while it opens: neither serving nor ended.
				l.Fatalf("the disk is full: %v", err)
			}
			l.log.Error("embedded database", "error", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.log.Error("embedded database: corruption", "path", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			l.log.Warn("embedded database: writes wait for the disk", "reason", info.Reason)
		},
	}
}

// freeSpace tells whether the disk has room, by asking the file system once a second at most.
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

// check returns an error matching ports.ErrFull when less than the minimum is free.
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
		s.err = fmt.Errorf("%w: ask for free disk space: %w", ports.ErrUnavailable, err)
	case usage.AvailBytes < s.minimum:
		s.err = fmt.Errorf("%w: less than embedded.min_free is left on the disk", ports.ErrFull)
	default:
		s.err = nil
	}
	return s.err
}
