package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/openhqm/openhqm/ports"
)

// upkeepReserve is free space in bytes that is kept for the deletion of what has expired, which is what ends most full
// disks. Requests and results also leave room for writing a full memtable to a table.
const upkeepReserve = 8 << 20

// disk is the file system of the data directory. It is safe for concurrent use.
type disk struct {
	dir     string
	minimum uint64
	flush   uint64 // bytes of a full memtable
	now     func() time.Time
	log     *slog.Logger
	opened  map[string]os.FileInfo // what must be where it was, by path

	mu    sync.Mutex
	asked time.Time
	err   error
}

// newDisk returns the disk of a data directory that is open.
func newDisk(opts *Options) (*disk, error) {
	d := &disk{
		dir: opts.Dir, minimum: opts.MinFree, flush: opts.MemTableBytes, now: opts.Now, log: opts.Logger,
		opened: make(map[string]os.FileInfo),
	}
	paths := []string{opts.Dir, filepath.Join(opts.Dir, markerName)}
	if opts.FS == vfs.Default {
		paths = append(paths, filepath.Join(opts.Dir, databaseName))
	}
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			return nil, fmt.Errorf("read data directory: %w", err)
		}
		d.opened[path] = info
	}
	return d, nil
}

// Probe implements ports.Probe: whether requests can be accepted and calls can begin, as far as the disk is concerned.
func (d *disk) Probe(context.Context) error { return d.check() }

// check returns an error that matches ports.ErrStorageLow when less than the minimum is free, and one that matches
// ports.ErrUnavailable when the directory is not where it was. It asks the file system at most once a second, and logs
// when the answer changes.
func (d *disk) check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if !d.asked.IsZero() && now.Sub(d.asked) < time.Second && !now.Before(d.asked) {
		return d.err
	}
	d.asked = now
	before := d.err
	d.err = d.ask()
	switch {
	case d.err != nil && before == nil:
		d.log.Warn("disk: nothing is accepted and no call begins until this is over; results can be fetched", "error", d.err)
	case d.err == nil && before != nil:
		d.log.Info("disk: there is room again; going on")
	}
	return d.err
}

func (d *disk) ask() error {
	for path, opened := range d.opened {
		info, err := os.Lstat(path)
		if err != nil || !os.SameFile(info, opened) {
			return fmt.Errorf("%w: %s was moved, deleted or replaced: bring it back, or restart", ports.ErrUnavailable, path)
		}
	}
	free, err := d.free()
	if err != nil {
		return err
	}
	if free < d.minimum {
		return fmt.Errorf("%w: %d MiB are free in %s, and embedded.min_free is %d MiB",
			ports.ErrStorageLow, free>>20, d.dir, d.minimum>>20)
	}
	return nil
}

// free returns how many bytes this user can still write.
func (d *disk) free() (uint64, error) {
	usage, err := vfs.Default.GetDiskUsage(d.dir)
	if err != nil {
		return 0, fmt.Errorf("%w: check free disk space: %w", ports.ErrUnavailable, err)
	}
	return usage.AvailBytes, nil
}

// holds returns an error unless that many bytes can be written while a reserve stays free. A write is there twice for a
// moment: in the write-ahead log and in a table.
func (d *disk) holds(bytes int, reserve uint64) error {
	d.mu.Lock()
	err := d.err
	d.mu.Unlock()
	if errors.Is(err, ports.ErrUnavailable) {
		return err
	}
	free, err := d.free()
	if err != nil {
		return err
	}
	if free < 2*uint64(bytes)+reserve {
		return fmt.Errorf("%w: %d MiB are free in %s", ports.ErrStorageLow, free>>20, d.dir)
	}
	return nil
}

// holdsDatabase returns an error unless there is room to open the database for writing: what is in the write-ahead logs
// is written to tables then.
func (d *disk) holdsDatabase() error {
	logs, err := filepath.Glob(filepath.Join(d.dir, databaseName, logPattern))
	if err != nil {
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	bytes := int64(0)
	for _, path := range logs {
		if info, err := os.Lstat(path); err == nil {
			bytes += info.Size()
		}
	}
	return d.holds(0, uint64(bytes)+upkeepReserve)
}

// calls returns how many calls may be in progress at once: each needs room for a response of the given size. While
// there is room at all it is at least one.
func (d *disk) calls(response int64) int {
	if d.check() != nil {
		return 0
	}
	free, err := d.free()
	needed := max(d.minimum, d.flush)
	if err != nil || free < needed {
		return 0
	}
	if response <= 0 {
		return math.MaxInt
	}
	return int(max(1, min((free-needed)/uint64(response), math.MaxInt32)))
}
