package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/openhqm/openhqm/domain"
)

// The high-water mark is the number of the last group that was confirmed, in a file beside the database. Pebble cannot
// tell that the end of its write-ahead log is missing: it looks like a log that has not been written yet. The mark can.
//
// It is written after each group's fsync and before the group is answered, so it is never ahead of a log that is whole.
// It is synced once a second. So after a power cut, but not after the death of the process, it may be a second old.
const (
	markName  = "HIGHWATER"
	markBytes = 256 // one write within one sector, so that it needs no new room on a full disk
)

// highWater is the content of the mark.
type highWater struct {
	group    uint64
	accepted uint64
	newest   domain.ID // the last request that was accepted
}

// mark is the open file.
type mark struct {
	file   vfs.File
	last   highWater   // owned by the committer
	dirty  atomic.Bool // written since the last sync
	failed atomic.Bool
}

func encodeMark(h *highWater) []byte {
	e := newEncoder(markBytes)
	e.uint(h.group)
	e.uint(h.accepted)
	e.text(string(h.newest))
	out := make([]byte, markBytes)
	binary.LittleEndian.PutUint32(out, crc32.Checksum(e.buf, castagnoli))
	binary.LittleEndian.PutUint32(out[4:], uint32(len(e.buf)))
	copy(out[8:], e.buf)
	return out
}

// decodeMark returns false when a power cut left only a part of the mark. Then nothing is known.
func decodeMark(value []byte) (highWater, bool) {
	if len(value) < 8 {
		return highWater{}, false
	}
	size := binary.LittleEndian.Uint32(value[4:])
	body := value[8:]
	if uint64(size) > uint64(len(body)) || crc32.Checksum(body[:size], castagnoli) != binary.LittleEndian.Uint32(value) {
		return highWater{}, false
	}
	d := newDecoder(body[:size])
	h := highWater{group: d.uint(), accepted: d.uint(), newest: domain.ID(d.text())}
	return h, d.end("mark") == nil
}

// readMark returns false when there is no mark.
func readMark(files vfs.FS, dir string) (highWater, bool, error) {
	file, err := files.Open(filepath.Join(dir, markName))
	if errors.Is(err, fs.ErrNotExist) {
		return highWater{}, false, nil
	}
	if err != nil {
		return highWater{}, false, fmt.Errorf("read %s: %w", markName, err)
	}
	value, err := io.ReadAll(io.LimitReader(file, markBytes))
	if err = errors.Join(err, file.Close()); err != nil {
		return highWater{}, false, fmt.Errorf("read %s: %w", markName, err)
	}
	h, ok := decodeMark(value)
	return h, ok, nil
}

// checkMark compares what was read with the mark. That the end of the log is missing is an error, which says how much
// is gone at least; with Options.Repair it is only logged.
func (db *DB) checkMark() error {
	h, ok, err := readMark(db.opts.FS, db.opts.Dir)
	if err != nil || !ok || h.group <= db.totals.group {
		return err
	}
	loss := fmt.Errorf("the end of the write-ahead log is missing: at least %d accepted requests are gone, of %d "+
		"changes in all (the newest request was %s); log files: %s", h.accepted-min(h.accepted, db.totals.accepted),
		h.group-db.totals.group, h.newest, db.describeLogs())
	if db.opts.Repair {
		db.opts.Logger.Error("embedded database: going on with what is whole, as embedded.repair says", "error", loss)
		return db.keepLogs()
	}
	return fmt.Errorf("%w; put the missing files back, restore a backup, or set embedded.repair: true to go on without "+
		"them", loss)
}

// describeLogs lists the write-ahead logs with their sizes.
func (db *DB) describeLogs() string {
	paths, _, err := listLogs(db.opts.FS, db.databaseDir())
	if err != nil {
		return err.Error()
	}
	if len(paths) == 0 {
		return "none in " + db.databaseDir()
	}
	for i, path := range paths {
		if info, err := db.opts.FS.Stat(path); err == nil {
			paths[i] = fmt.Sprintf("%s (%d bytes)", path, info.Size())
		}
	}
	return strings.Join(paths, ", ")
}

// openMark opens the mark for writing, and sets it to what the database holds.
func (db *DB) openMark() error {
	if err := db.files.MkdirAll(db.opts.Dir, privateDirectory); err != nil {
		return fmt.Errorf("open %s: %w", markName, err)
	}
	known, _, err := readMark(db.opts.FS, db.opts.Dir)
	if err != nil {
		return err
	}
	file, err := db.files.OpenReadWrite(filepath.Join(db.opts.Dir, markName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("open %s: %w", markName, err)
	}
	db.mark = &mark{file: file, last: highWater{newest: known.newest}}
	db.raiseMark("")
	return syncDirectory(db.opts.Dir)
}

// raiseMark writes the mark after a group. An error makes the mark fall behind, which does no harm by itself.
func (db *DB) raiseMark(newest domain.ID) {
	m := db.mark
	m.last.group, m.last.accepted = db.totals.group, db.totals.accepted
	if newest != "" {
		m.last.newest = newest
	}
	_, err := m.file.WriteAt(encodeMark(&m.last), 0)
	m.dirty.Store(true)
	if err != nil && m.failed.CompareAndSwap(false, true) {
		db.opts.Logger.Warn("embedded database: the high-water mark cannot be written; a later loss may go unnoticed",
			"error", err)
	}
}

// syncMark makes the mark durable.
func (db *DB) syncMark() {
	db.reads.RLock() // the mark is opened together with the database
	m := db.mark
	db.reads.RUnlock()
	if m != nil && m.dirty.Swap(false) {
		_ = m.file.SyncData() // the next one will tell
	}
}

func (m *mark) close() error { return errors.Join(m.file.Sync(), m.file.Close()) }
