package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// maxListed is how many dead letters List reads for one page, however few of them match: about 10 ms of reading.
const maxListed = 10000

// DeadLetters are the dead letters of a database. It implements ports.DeadLetters and is safe for concurrent use.
type DeadLetters struct{ db *DB }

var _ ports.DeadLetters = DeadLetters{}

// DeadLetters returns the dead letters of the database.
func (db *DB) DeadLetters() DeadLetters { return DeadLetters{db} }

// List implements ports.DeadLetters.
func (l DeadLetters) List(ctx context.Context, filter ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
	page, err := l.readPage(filter)
	if err == nil {
		err = l.db.flush(ctx)
	}
	if err != nil {
		return ports.DeadLetterPage{}, err
	}
	return page, nil
}

func (l DeadLetters) readPage(filter ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
	var page ports.DeadLetterPage
	if !l.db.enter() {
		return page, ports.ErrClosed
	}
	defer l.db.leave()
	iter, err := l.db.kv.NewIter(&pebble.IterOptions{
		LowerBound: []byte{prefixDeadLetter}, UpperBound: placeKey(filter.Before),
	})
	if err != nil {
		return page, fmt.Errorf("%w: read database: %w", ports.ErrUnavailable, err)
	}
	l.collect(iter, filter, &page)
	if err = iter.Close(); err != nil {
		return page, fmt.Errorf("%w: list dead letters: %w", ports.ErrUnavailable, err)
	}
	return page, nil
}

// collect fills the page with matching dead letters, from the newest to the oldest.
func (l DeadLetters) collect(iter *pebble.Iterator, filter ports.DeadLetterFilter, page *ports.DeadLetterPage) {
	var place ports.DeadLetterPlace
	listed := 0
	for iter.Last(); iter.Valid(); iter.Prev() {
		if listed == maxListed || len(page.Letters) == filter.Limit {
			page.Next = place
			return
		}
		listed++
		place = keyPlace(iter.Key())
		r, err := decodeRow(place.ID, iter.Value())
		if err != nil {
			// A damaged one must not hide the others.
			l.db.opts.Logger.Error("dead letter is damaged; leaving it out of the list",
				"correlation_id", place.ID, "error", err)
			continue
		}
		if matches(filter, r) {
			page.Letters = append(page.Letters, deadLetter(r, place.FailedAt))
		}
	}
}

func matches(filter ports.DeadLetterFilter, r *row) bool {
	return (filter.Endpoint == "" || filter.Endpoint == r.Endpoint) &&
		(filter.Reason == "" || filter.Reason == r.reason)
}

func deadLetter(r *row, failedAt time.Time) domain.DeadLetter {
	return domain.DeadLetter{
		ID: r.ID, Endpoint: r.Endpoint, ResentFrom: r.ResentFrom,
		Status: r.Status, Reason: r.reason, Error: r.problem, Attempts: r.Attempts, StatusCode: r.statusCode,
		SubmittedAt: r.SubmittedAt, FailedAt: failedAt, RequestSize: r.size,
	}
}

// State implements ports.DeadLetters.
func (l DeadLetters) State(ctx context.Context, id domain.ID) (domain.DeadLetter, error) {
	return l.get(ctx, func() (domain.DeadLetter, error) {
		r, failedAt, err := l.readRow(id)
		if err != nil {
			return domain.DeadLetter{}, err
		}
		return deadLetter(r, failedAt), nil
	})
}

// Find implements ports.DeadLetters.
func (l DeadLetters) Find(ctx context.Context, id domain.ID) (domain.DeadLetter, error) {
	return l.get(ctx, func() (domain.DeadLetter, error) { return l.readWhole(id) })
}

// get reads a dead letter and waits until it is durable.
func (l DeadLetters) get(
	ctx context.Context, read func() (domain.DeadLetter, error),
) (domain.DeadLetter, error) {
	if !l.db.enter() {
		return domain.DeadLetter{}, ports.ErrClosed
	}
	letter, err := read()
	l.db.leave()
	if err == nil {
		err = l.db.flush(ctx)
	}
	if err != nil {
		return domain.DeadLetter{}, err
	}
	return letter, nil
}

func (l DeadLetters) readWhole(id domain.ID) (domain.DeadLetter, error) {
	// The original first: both are deleted together, so a dead letter that is found without it afterwards is damaged.
	original, err := l.db.get(idKey(prefixRequest, id))
	if err != nil {
		return domain.DeadLetter{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	r, failedAt, err := l.readRow(id)
	if err != nil {
		return domain.DeadLetter{}, err
	}
	letter := deadLetter(r, failedAt)
	if req, err := decodeRequest(&r.Record, original); err == nil {
		letter.Request = &req
	}
	return letter, nil
}

// readRow returns a dead letter without its original, and when it became one.
func (l DeadLetters) readRow(id domain.ID) (*row, time.Time, error) {
	b, err := l.db.readLetterRef(id)
	if err != nil {
		return nil, time.Time{}, err
	}
	value, err := l.db.get(deadLetterKey(b.at, id))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	if value == nil {
		return nil, time.Time{}, ports.ErrNotFound
	}
	r, err := decodeRow(id, value)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return r, time.UnixMilli(b.at).UTC(), nil
}

// Delete implements ports.DeadLetters.
func (l DeadLetters) Delete(ctx context.Context, id domain.ID) error {
	return l.db.do(ctx, rowBytes, func(tx *txn) error { return tx.deleteDeadLetter(id) })
}

// addDeadLetter stores a dead letter; its original stays under the request's key.
func (tx *txn) addDeadLetter(r *row) {
	tx.writeLetter(r, letterRef{at: tx.now.UnixMilli(), expires: tx.now.Add(tx.db.opts.DeadLetterTTL).UnixMilli()})
}

// writeLetter writes the rows of a dead letter, without its original.
func (tx *txn) writeLetter(r *row, b letterRef) {
	key := deadLetterKey(b.at, r.ID)
	tx.set(key, encodeRow(r))
	tx.set(idKey(prefixLetterRef, r.ID), encodeLetterRef(&b))
	tx.set(expiryKey(b.expires, expireDeadLetter, key), nil)
	tx.db.expiry.add(b.expires)
	tx.db.totals.deadLetters++
}

// deleteDeadLetter deletes a dead letter and its original.
func (tx *txn) deleteDeadLetter(id domain.ID) error {
	if _, gone := tx.deleted[id]; gone {
		return ports.ErrNotFound
	}
	b, err := tx.db.readLetterRef(id)
	if err != nil {
		return err
	}
	tx.deleted[id] = struct{}{}
	key := deadLetterKey(b.at, id)
	tx.delete(key)
	tx.delete(idKey(prefixLetterRef, id))
	size := int64(0)
	if r, _, err := tx.db.DeadLetters().readRow(id); err == nil { // a damaged one is deleted too
		size = r.size
	}
	tx.discard(idKey(prefixRequest, id), size)
	tx.delete(expiryKey(b.expires, expireDeadLetter, key))
	tx.db.totals.deadLetters--
	return nil
}

func (tx *txn) expireDeadLetter(key []byte) error {
	err := tx.deleteDeadLetter(keyPlace(key).ID)
	if errors.Is(err, ports.ErrNotFound) {
		return nil
	}
	return err
}

// readLetterRef returns ports.ErrNotFound when there is no such dead letter.
func (db *DB) readLetterRef(id domain.ID) (letterRef, error) {
	value, err := db.get(idKey(prefixLetterRef, id))
	if err != nil {
		return letterRef{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	if value == nil {
		return letterRef{}, ports.ErrNotFound
	}
	b, err := decodeLetterRef(value)
	if err != nil {
		return letterRef{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return b, nil
}

// keyPlace returns the place that is in the key of a dead letter.
func keyPlace(key []byte) ports.DeadLetterPlace {
	return ports.DeadLetterPlace{FailedAt: time.UnixMilli(keyTime(key)).UTC(), ID: domain.ID(key[9:])}
}

// placeKey returns the key that bounds the dead letters behind a place: theirs are smaller.
func placeKey(place ports.DeadLetterPlace) []byte {
	if place.FailedAt.IsZero() {
		return []byte{prefixDeadLetter + 1}
	}
	// Keys have whole milliseconds. The place may lie within one, whose dead letters count as before it. No dead letter is
	// from before 1970.
	millis := place.FailedAt.Add(time.Millisecond - 1).UnixMilli()
	return deadLetterKey(max(millis, 0), place.ID)
}
