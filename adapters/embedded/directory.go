package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
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
	for _, check := range []func(string) error{guardDirectory, checkOurs, guardFiles} {
		if err := check(path); err != nil {
			return nil, err
		}
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
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	parent := filepath.Dir(path)
	if err := makeDirectory(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, privateDirectory); err != nil && !errors.Is(err, os.ErrExist) {
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
		case lostAndFound:
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
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, privateFile)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (d *directory) close() error { return d.lock.Close() }
