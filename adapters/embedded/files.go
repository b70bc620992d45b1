package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// files is the file system as Pebble sees it. New files are private whatever the umask, and a damaged block is an error
// as soon as it is read.
type files struct {
	vfs.FS

	reuse sync.Mutex // held while an old write-ahead log is emptied, or renamed for its next use
}

// Create implements vfs.FS.
func (f *files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return private(f.FS.Create(name, category))
}

// OpenReadWrite implements vfs.FS.
func (f *files) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return private(f.FS.OpenReadWrite(name, category, opts...))
}

// ReuseForWrite implements vfs.FS.
func (f *files) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f.reuse.Lock()
	defer f.reuse.Unlock()
	return private(f.FS.ReuseForWrite(oldName, newName, category))
}

// newestLog returns the number of the newest write-ahead log in a directory of the disk; 0: there is none.
func newestLog(dir string) (newest uint64, err error) {
	logs, err := filepath.Glob(filepath.Join(dir, logPattern))
	for _, log := range logs {
		newest = max(newest, logNumber(log))
	}
	return newest, err
}

// logNumber returns the number of a write-ahead log. One whose name has none is the newest: it is never emptied.
func logNumber(path string) uint64 {
	number, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	return number
}

// emptyLogs empties the write-ahead logs up to a number. All that is in them must be in tables. Pebble keeps some for
// their next use, with the room that they take.
func (f *files) emptyLogs(dir string, newest uint64) error {
	f.reuse.Lock()
	defer f.reuse.Unlock()
	logs, err := filepath.Glob(filepath.Join(dir, logPattern))
	for _, log := range logs {
		if number := logNumber(log); number > newest || number == math.MaxUint64 {
			continue
		}
		if emptied := os.Truncate(log, 0); !errors.Is(emptied, fs.ErrNotExist) { // Pebble deletes some, too
			err = errors.Join(err, emptied)
		}
	}
	return err
}

// MkdirAll implements vfs.FS.
func (f *files) MkdirAll(dir string, _ fs.FileMode) error {
	return f.FS.MkdirAll(dir, privateDirectory)
}

// Open implements vfs.FS.
func (f *files) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil || filepath.Ext(name) != tableExtension {
		return file, err
	}
	return table{file, name}, nil
}

// Unwrap implements vfs.FS.
func (f *files) Unwrap() vfs.FS { return f.FS }

func private(file vfs.File, err error) (vfs.File, error) {
	if err != nil || file.Fd() == vfs.InvalidFd {
		return file, err // of a file system in memory
	}
	if err := makePrivate(file.Fd()); err != nil {
		return nil, errors.Join(fmt.Errorf("make file private: %w", err), file.Close())
	}
	return file, nil
}

// The names of Pebble's files. Logs are numbered.
const (
	tableExtension = ".sst"
	logPattern     = "*.log"
)

// table is a table of Pebble that is being read. When the checksum of a block is wrong, Pebble inverts each of its
// first 327,680 bits in turn, to report which one was wrong: that is minutes of work for a block of 10 MiB, again at
// each read. So the checksum is compared here before Pebble does. A checksum of 8 KiB takes less than a microsecond.
type table struct {
	vfs.File

	name string
}

// Smaller reads may be no blocks (the end of a table is read in one piece), and Pebble's own search is quick there.
const minChecked = 8 << 10

// A block ends with its checksum: CRC-32C, rotated and shifted as in LevelDB's table format, over all before it.
const (
	checksumBytes = 4
	checksumDelta = 0xa282ead8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ReadAt implements vfs.File. Pebble reads tables block by block.
func (t table) ReadAt(p []byte, offset int64) (int, error) {
	n, err := t.File.ReadAt(p, offset)
	if err != nil || n < minChecked {
		return n, err
	}
	body, want := p[:n-checksumBytes], binary.LittleEndian.Uint32(p[n-checksumBytes:n])
	sum := crc32.Checksum(body, castagnoli)
	if (sum>>15|sum<<17)+checksumDelta != want {
		return 0, fmt.Errorf("%w: the block at %d of %s has a wrong checksum", pebble.ErrCorruption, offset, t.name)
	}
	return n, nil
}
