package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/openhqm/openhqm/domain"
)

// Inspection is what Check found in a data directory.
type Inspection struct {
	Records     map[domain.Status]int
	DeadLetters int
	Unreadable  int     // records whose request or response cannot be read
	Damage      []error // empty: all is whole
}

// Check reads all of a data directory that no process uses, and changes nothing there. It returns an error when the
// directory cannot be read at all.
func Check(dir string) (Inspection, error) {
	found := Inspection{Records: make(map[domain.Status]int)}
	db, err := openClosed(dir)
	if err != nil {
		return found, err
	}
	db.readOnly = true
	if db.kv, err = db.openPebble(); err != nil {
		return found, errors.Join(err, db.closeFiles())
	}
	found.add(db.load())
	found.add(db.checkMark())
	for _, prefix := range []byte{
		prefixLetterRef, prefixDue, prefixIdempotency, prefixRequest, prefixRecord, prefixResponse, prefixDeadLetter,
		prefixReady, prefixExpiry,
	} {
		found.add(db.scan([]byte{prefix}, []byte{prefix + 1}, func(key, value []byte) (bool, error) {
			found.row(db, key, value)
			return true, nil
		}))
	}
	found.add(db.log.damage.err())
	return found, db.closeFiles()
}

func (i *Inspection) add(err error) {
	if err != nil {
		i.Damage = append(i.Damage, err)
	}
}

// row counts one row, and checks what a record leads to.
func (i *Inspection) row(db *DB, key, value []byte) {
	switch key[0] {
	case prefixDeadLetter:
		i.DeadLetters++
	case prefixRecord:
		r, err := decodeRow(domain.ID(key[1:]), value)
		if err != nil {
			i.add(fmt.Errorf("record %s: %w", key[1:], err))
			return
		}
		i.Records[r.Status]++
		if err := db.checkBodies(r); err != nil {
			i.Unreadable++
			i.add(fmt.Errorf("record %s: %w", r.ID, err))
		}
	}
}

// checkBodies returns an error if the request or the response that a record needs cannot be read.
func (db *DB) checkBodies(r *row) error {
	if !r.Status.Final() {
		if _, err := db.readRequest(&r.Record); err != nil {
			return err
		}
	}
	if r.answered {
		if _, err := db.readResponse(r.ID); err != nil {
			return fmt.Errorf("read response: %w", err)
		}
	}
	return nil
}

// Repair makes a data directory usable again that no process uses, and drops what is damaged or missing in its
// write-ahead log. It logs what is gone. What it drops is kept in the directory "damaged".
func Repair(dir string, logger *slog.Logger) error {
	db, err := openClosed(dir)
	if err != nil {
		return err
	}
	db.opts.Repair, db.opts.Logger, db.log.log = true, logger, logger
	return errors.Join(db.open(), db.closeFiles())
}

// Backup copies a data directory that no process uses. The target must not exist, and can be used as a data directory.
func Backup(dir, target string) error {
	db, err := openClosed(dir)
	if err != nil {
		return err
	}
	return errors.Join(db.copyTo(target), db.closeFiles())
}

func (db *DB) copyTo(target string) error {
	if _, err := os.Lstat(target); err == nil {
		return fmt.Errorf("back up to %s: it exists", target)
	}
	if err := makeDirectory(target); err != nil {
		return fmt.Errorf("back up to %s: %w", target, err)
	}
	to := filepath.Join(target, databaseName)
	if _, err := vfs.Clone(db.files, db.files, db.databaseDir(), to, vfs.CloneSync); err != nil {
		return fmt.Errorf("back up to %s: %w", target, err)
	}
	from := filepath.Join(db.opts.Dir, markName)
	if _, err := vfs.Clone(db.files, db.files, from, filepath.Join(target, markName), vfs.CloneSync); err != nil {
		return fmt.Errorf("back up to %s: %w", target, err)
	}
	return completeBackup(target)
}

// completeBackup makes a data directory of a copy of the database. The marker comes last: without it no start takes the
// directory for a whole one.
func completeBackup(target string) error {
	backup := &directory{path: target}
	if err := backup.mark(markerReady); err != nil {
		return err
	}
	return guardFiles(target)
}

// openClosed locks a data directory that exists and that no process uses.
func openClosed(dir string) (*DB, error) {
	if err := requireData(dir); err != nil {
		return nil, err
	}
	locked, err := openDirectory(dir)
	if err != nil {
		return nil, err
	}
	return newDB(Options{
		Dir: dir, CacheBytes: 4 * plentyBytes, MemTableBytes: plentyBytes, Now: time.Now, FS: vfs.Default,
		Logger: slog.New(slog.DiscardHandler),
	}, locked), nil
}

// requireData returns an error unless a directory is a data directory. So a wrong path is not made one.
func requireData(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, markerName)); err != nil {
		return fmt.Errorf("%s is not a data directory of OpenHQM: %w", dir, err)
	}
	return nil
}
