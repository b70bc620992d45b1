package embedded

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// damagedName is the directory of what a repair has taken out of the database.
const damagedName = "damaged"

// damagedLog is a write-ahead log that cannot be read to its end, and the logs behind it.
type damagedLog struct {
	path   string
	offset int64    // where the damage begins
	later  []string // paths
}

// listLogs returns the paths of the write-ahead logs, oldest first.
func listLogs(files vfs.FS, dir string) ([]string, wal.Logs, error) {
	logs, err := wal.Scan(wal.Dir{FS: files, Dirname: dir})
	if err != nil {
		return nil, nil, fmt.Errorf("list write-ahead logs: %w", err)
	}
	paths := make([]string, len(logs))
	for i := range logs {
		_, paths[i] = logs[i].SegmentLocation(0)
	}
	return paths, logs, nil
}

// findDamagedLog returns the first write-ahead log with damage that is not the end of an interrupted write; nil: there
// is none.
func findDamagedLog(files vfs.FS, dir string) (*damagedLog, error) {
	paths, logs, err := listLogs(files, dir)
	if err != nil {
		return nil, err
	}
	for i := range logs {
		offset, err := readLog(&logs[i])
		if errors.Is(err, io.EOF) || errors.Is(err, record.ErrUnexpectedEOF) && i == len(logs)-1 {
			continue
		}
		return &damagedLog{path: paths[i], offset: offset, later: paths[i+1:]}, nil
	}
	return nil, nil //nolint:nilnil // as documented
}

// readLog reads a write-ahead log to its end, or to the first record that cannot be read. It returns why and where.
func readLog(log *wal.LogicalLog) (int64, error) {
	reader := log.OpenForRead()
	for {
		content, offset, err := reader.NextRecord()
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		if err != nil {
			_ = reader.Close() // nothing was written
			return offset.Physical, err
		}
	}
}

// keepLogs copies the write-ahead logs to a directory of their own before a repair drops parts of them: somebody may be
// able to read more of them.
func (db *DB) keepLogs() error {
	aside := filepath.Join(db.opts.Dir, damagedName)
	if err := db.files.MkdirAll(aside, privateDirectory); err != nil {
		return fmt.Errorf("make directory for what is damaged: %w", err)
	}
	paths, _, err := listLogs(db.opts.FS, db.databaseDir())
	if err != nil {
		return err
	}
	for _, path := range paths {
		// A repair that goes on with logs that an earlier one has cut must not replace what that one kept.
		if _, err := db.opts.FS.Stat(filepath.Join(aside, filepath.Base(path))); err == nil {
			continue
		}
		if err := vfs.Copy(db.files, path, filepath.Join(aside, filepath.Base(path))); err != nil {
			return fmt.Errorf("keep damaged log: %w", err)
		}
	}
	return nil
}

// cut drops the damaged end of the log and the later logs.
func (l *damagedLog) cut(files vfs.FS) error {
	whole := l.path + ".whole"
	if err := vfs.LimitedCopy(files, l.path, whole, l.offset); err != nil {
		return fmt.Errorf("copy what is whole: %w", err)
	}
	for _, path := range l.later {
		if err := files.Remove(path); err != nil {
			return fmt.Errorf("drop later log: %w", err)
		}
	}
	if err := files.Rename(whole, l.path); err != nil {
		return fmt.Errorf("put back what is whole: %w", err)
	}
	return nil
}
