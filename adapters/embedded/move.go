package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// moveName is the file beside the marker that says what the directory has to do with a move: see ports.MoveMark.
const moveName = "MOVE"

// Moves moves what is in a database to another store, and what is there to the database. It implements ports.Movable.
type Moves struct{ db *DB }

var _ ports.Movable = Moves{}

// Moves returns what moves the contents of the database.
func (db *DB) Moves() Moves { return Moves{db} }

// readMove returns the mark of a directory.
func readMove(dir string) (ports.MoveMark, error) {
	text, err := os.ReadFile(filepath.Join(dir, moveName))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ports.MoveMark{}, nil
	case err != nil:
		return ports.MoveMark{}, fmt.Errorf("%w: read data directory: %w", ports.ErrUnavailable, err)
	default:
		return ports.ParseMoveMark(string(text)), nil
	}
}

// refuseMoved returns an error for a directory whose contents were moved or are being moved.
func (d *directory) refuseMoved() error {
	mark, err := readMove(d.path)
	if err == nil {
		err = mark.Refusal()
	}
	if err != nil {
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
	return nil
}

// Mark implements ports.MoveParty.
func (m Moves) Mark(context.Context) (ports.MoveMark, error) { return readMove(m.db.opts.Dir) }

// SetMark implements ports.MoveParty.
func (m Moves) SetMark(_ context.Context, mark ports.MoveMark) error {
	if err := writeMove(m.db.opts.Dir, mark); err != nil {
		return fmt.Errorf("%w: mark data directory: %w", ports.ErrUnavailable, err)
	}
	return nil
}

func writeMove(dir string, mark ports.MoveMark) error {
	path := filepath.Join(dir, moveName)
	if mark == (ports.MoveMark{}) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return syncDirectory(dir)
	}
	if err := writeSynced(path+".new", mark.String()+"\n"); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDirectory(dir)
}

// Users implements ports.MoveParty. The directory is locked, so no other process uses it.
func (m Moves) Users(ctx context.Context) (string, error) {
	held := 0
	err := m.db.do(ctx, 0, func(*txn) error {
		held = len(m.db.leases)
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case held > 0:
		return fmt.Sprintf("workers hold %d requests", held), nil
	default:
		return "", nil
	}
}

const (
	exportedAtOnce = 64      // requests that are visited together
	exportedBytes  = 8 << 20 // of their bodies, but for one that alone is larger
)

// Export implements ports.Exporter. It reads records in the order of their ids.
func (m Moves) Export(ctx context.Context, visit func([]ports.Stored) error) error {
	x := exporting(m)
	for _, part := range []struct {
		prefix byte
		read   func(key, value []byte) (ports.Stored, bool, error)
	}{{prefixRecord, x.record}, {prefixDeadLetter, x.letter}, {prefixIdempotency, x.key}} {
		for from := []byte{part.prefix}; from != nil; {
			if err := context.Cause(ctx); err != nil {
				return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
			}
			some, next, err := x.some(from, []byte{part.prefix + 1}, part.read)
			if err == nil && len(some) > 0 {
				err = visit(some)
			}
			if err != nil {
				return err
			}
			from = next
		}
	}
	return nil
}

// exporting reads what is to be exported.
type exporting struct{ db *DB }

// some reads as much as may be in memory at once, and returns where to go on; nil: there is no more.
func (x exporting) some(
	from, to []byte, read func(key, value []byte) (ports.Stored, bool, error),
) (some []ports.Stored, next []byte, err error) {
	if !x.db.enter() {
		return nil, nil, ports.ErrClosed
	}
	defer x.db.leave()
	bytes := 0
	err = x.db.scan(from, to, func(key, value []byte) (bool, error) {
		one, found, err := read(key, value)
		if err != nil {
			return false, err
		}
		if found {
			some, bytes = append(some, one), bytes+storedBytes(&one)
		}
		if len(some) < exportedAtOnce && bytes < exportedBytes {
			return true, nil
		}
		next = append(append(next, key...), 0) // the next possible key
		return false, nil
	})
	return some, next, err
}

func letterOriginal(l *ports.StoredLetter) *domain.Request {
	if l == nil {
		return nil
	}
	return l.Request
}

// record reads a record with all that belongs to it.
func (x exporting) record(key, value []byte) (one ports.Stored, found bool, err error) {
	id := domain.ID(key[1:])
	r, err := decodeRow(id, value)
	if err != nil {
		return one, false, unreadable(id, err)
	}
	rec := r.Record
	one = ports.Stored{ID: id, Record: &rec}
	if rec.Status.Final() {
		rec.Result, one.Expires = r.result(), time.UnixMilli(r.expires).UTC()
	} else {
		rec.Status = domain.Pending
		if one.Request, err = x.request(&rec); err != nil {
			return one, false, unreadable(id, err)
		}
	}
	if r.answered {
		if one.Response, err = x.response(id); err != nil {
			return one, false, unreadable(id, err)
		}
	}
	if r.idempotency != "" {
		if one.Key, err = x.held(id, r.Owner, r.idempotency); err != nil {
			return one, false, err
		}
	}
	if rec.Status.DeadLettered() {
		err = x.wholeLetter(id, &one)
	}
	return one, true, err
}

func unreadable(id domain.ID, err error) error {
	return fmt.Errorf("%w: request %s cannot be read: %w", ports.ErrUnavailable, id, err)
}

func (x exporting) request(rec *domain.Record) (*domain.Request, error) {
	value, err := x.db.get(idKey(prefixRequest, rec.ID))
	if err != nil {
		return nil, err
	}
	req, err := decodeRequest(rec, value) // which fails where there is none
	return &req, err
}

func (x exporting) response(id domain.ID) (*domain.Response, error) {
	value, err := x.db.get(idKey(prefixResponse, id))
	if err != nil || value == nil {
		return nil, err
	}
	return decodeResponse(value)
}

// held returns the idempotency key that a request holds, nil when it holds it no more.
func (x exporting) held(id domain.ID, owner, key string) (*ports.StoredIdempotency, error) {
	value, err := x.db.get(idempotencyKey(owner, key))
	if err != nil || value == nil {
		return nil, err
	}
	i, err := decodeIdempotency(value)
	if err != nil || i.id != id {
		return nil, err
	}
	return storedKey(&i, owner, key), nil
}

func storedKey(i *idempotency, owner, key string) *ports.StoredIdempotency {
	return &ports.StoredIdempotency{
		Idempotency: domain.Idempotency{
			Key: key, Fingerprint: i.fingerprint, ExpiresAt: time.UnixMilli(i.expires).UTC(),
		},
		Owner: owner, SubmittedAt: i.submittedAt,
	}
}

// wholeLetter reads a dead letter, unless it was deleted.
func (x exporting) wholeLetter(id domain.ID, one *ports.Stored) error {
	letters := x.db.DeadLetters()
	letter, err := letters.readWhole(id)
	if errors.Is(err, ports.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r, _, err := letters.readRow(id)
	if err != nil {
		return err
	}
	ref, err := x.db.readLetterRef(id)
	if err != nil {
		return err
	}
	one.Letter = &ports.StoredLetter{
		DeadLetter: letter, Owner: r.Owner, Priority: r.Priority, Deadline: r.Deadline,
		Expires: time.UnixMilli(ref.expires).UTC(),
	}
	return nil
}

// letter reads a dead letter whose record is gone.
func (x exporting) letter(key, _ []byte) (one ports.Stored, found bool, err error) {
	id := keyPlace(key).ID
	if there, err := x.db.get(idKey(prefixRecord, id)); err != nil || there != nil {
		return one, false, err
	}
	one = ports.Stored{ID: id}
	err = x.wholeLetter(id, &one)
	return one, one.Letter != nil, err
}

// key reads an idempotency key whose record is gone.
func (x exporting) key(key, value []byte) (one ports.Stored, found bool, err error) {
	owner, name, ok := parseIdempotencyKey(key)
	i, err := decodeIdempotency(value)
	if err != nil || !ok {
		return one, false, errors.Join(err, errCorrupt)
	}
	if there, err := x.db.get(idKey(prefixRecord, i.id)); err != nil || there != nil {
		return one, false, err
	}
	return ports.Stored{ID: i.id, Key: storedKey(&i, owner, name)}, true, nil
}
