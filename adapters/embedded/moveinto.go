package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Remove implements ports.Exporter, in one batch.
func (m Moves) Remove(ctx context.Context, all []ports.Stored) error {
	return m.db.do(ctx, len(all)*rowBytes, func(tx *txn) error {
		for i := range all {
			if err := tx.remove(&all[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// remove removes all that is stored under an id.
func (tx *txn) remove(one *ports.Stored) error {
	if one.Key != nil {
		key := idempotencyKey(one.Key.Owner, one.Key.Key)
		i, err := tx.key(key)
		if err != nil {
			return err
		}
		if i.id == one.ID {
			tx.setKey(key, idempotency{})
			tx.delete(expiryKey(i.expires, expireIdempotency, key))
		}
	}
	r, err := tx.row(one.ID)
	if err != nil {
		return err
	}
	if r != nil {
		tx.removeRow(r)
	}
	if err := tx.deleteDeadLetter(one.ID); err != nil && !errors.Is(err, ports.ErrNotFound) {
		return err
	}
	return nil
}

func (tx *txn) removeRow(r *row) {
	if !r.Status.Final() {
		tx.dequeue(r)
		tx.discard(idKey(prefixRequest, r.ID), r.size)
	}
	if r.expires != 0 {
		tx.delete(expiryKey(r.expires, expireRecord, []byte(r.ID)))
	}
	tx.delete(idKey(prefixRecord, r.ID))
	if r.answered {
		tx.discard(idKey(prefixResponse, r.ID), r.ResponseSize)
	}
	tx.rows[r.ID] = nil
}

// Import implements ports.Importer. All are written group by group, each group in one batch.
func (m Moves) Import(ctx context.Context, all []ports.Stored) []error {
	if err := m.db.disk.check(); err != nil {
		return repeat(err, len(all))
	}
	errs := make([]error, 0, len(all))
	for from, to := range groups(len(all), func(i int) int { return storedBytes(&all[i]) }) {
		errs = append(errs, m.importGroup(ctx, all[from:to])...)
	}
	return errs
}

func storedBytes(one *ports.Stored) int {
	n := rowBytes
	for _, request := range []*domain.Request{one.Request, letterOriginal(one.Letter)} {
		if request != nil {
			n += int(request.Size())
		}
	}
	if one.Response != nil {
		n += int(one.Response.Size())
	}
	return n
}

func (m Moves) importGroup(ctx context.Context, all []ports.Stored) []error {
	errs := make([]error, len(all))
	size := 0
	for i := range all {
		size += storedBytes(&all[i])
	}
	err := m.db.do(ctx, size, func(tx *txn) error {
		for i := range all {
			errs[i] = tx.bringIn(&all[i])
		}
		return nil
	})
	if err != nil {
		return repeat(err, len(all)) // not errs: the committer may still write into it
	}
	return errs
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// bringIn saves all that another store had under an id, unless something is there.
func (tx *txn) bringIn(one *ports.Stored) error {
	there, err := tx.alreadyIn(one)
	if err != nil || there {
		return err
	}
	var r *row
	if one.Record != nil {
		r = tx.bringRecord(one)
	}
	if one.Key != nil {
		tx.bringKey(one, r)
	}
	if one.Letter != nil {
		tx.bringLetter(one)
	}
	if r != nil {
		tx.save(r)
		tx.db.totals.accepted++
		tx.newest = r.ID
	}
	return nil
}

// alreadyIn reports whether an earlier call has saved it, or returns ports.ErrConflict.
func (tx *txn) alreadyIn(one *ports.Stored) (bool, error) {
	if one.Letter != nil && !one.Letter.Original.Empty() {
		return true, ports.ErrConflict // no dead letter here has a message of another program
	}
	r, err := tx.row(one.ID)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	if r == nil {
		r, _, err = tx.db.DeadLetters().readRow(one.ID)
		if err != nil && !errors.Is(err, ports.ErrNotFound) {
			return false, err
		}
	}
	if r != nil {
		return true, conflict(one.Record != nil && !sameRequest(r, one.Record.Endpoint, one.Record.Owner,
			one.Record.SubmittedAt) || one.Record == nil && one.Letter != nil && !sameRequest(r, one.Letter.Endpoint,
			one.Letter.Owner, one.Letter.SubmittedAt))
	}
	if one.Key == nil {
		return false, nil
	}
	i, err := tx.key(idempotencyKey(one.Key.Owner, one.Key.Key))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	if i.id != "" && i.id != one.ID {
		return true, ports.ErrConflict
	}
	return i.id == one.ID && one.Record == nil && one.Letter == nil, nil
}

func conflict(is bool) error {
	if is {
		return ports.ErrConflict
	}
	return nil
}

// sameRequest reports whether a row is of the same request: ids may be those of other programs.
func sameRequest(r *row, endpoint, owner string, submitted time.Time) bool {
	return r.Endpoint == endpoint && r.Owner == owner && r.SubmittedAt.Equal(submitted)
}

// bringRecord writes what belongs to a record, which the caller saves.
func (tx *txn) bringRecord(one *ports.Stored) *row {
	r := &row{Record: *one.Record}
	if result := r.Result; result != nil {
		r.reason, r.problem = result.Reason, result.Error
		r.completedAt, r.processingTime = result.CompletedAt, result.ProcessingTime
		r.Result = nil
	}
	r.ResponseSize = 0
	if one.Response != nil {
		tx.setEncoded(idKey(prefixResponse, r.ID), encodeResponse(one.Response))
		r.answered, r.statusCode, r.ResponseSize = true, one.Response.StatusCode, one.Response.Size()
	}
	if r.Status.Final() {
		if one.Letter != nil {
			r.size = one.Letter.RequestSize
		}
		tx.expireAt(r, one.Expires)
		return r
	}
	r.size = one.Request.Size()
	tx.setEncoded(idKey(prefixRequest, r.ID), encodeRequest(one.Request))
	tx.enqueue(r, r.NextAttemptAt)
	tx.expireAt(r, r.Deadline.Add(expiryGrace))
	return r
}

func (tx *txn) bringKey(one *ports.Stored, r *row) {
	expires := one.Key.ExpiresAt.UnixMilli()
	key := idempotencyKey(one.Key.Owner, one.Key.Key)
	tx.setKey(key, idempotency{
		id: one.ID, fingerprint: one.Key.Fingerprint, submittedAt: one.Key.SubmittedAt, expires: expires,
	})
	tx.set(expiryKey(expires, expireIdempotency, key), nil)
	tx.db.expiry.add(expires)
	if r != nil {
		r.idempotency, r.idempotencyExpires = one.Key.Key, expires
	}
}

func (tx *txn) bringLetter(one *ports.Stored) {
	l := one.Letter
	tx.writeLetter(&row{
		Record: domain.Record{
			ID: one.ID, Endpoint: l.Endpoint, Owner: l.Owner, Priority: l.Priority, ResentFrom: l.ResentFrom,
			Status: l.Status, SubmittedAt: l.SubmittedAt, UpdatedAt: l.FailedAt, Deadline: l.Deadline, Attempts: l.Attempts,
		},
		statusCode: l.StatusCode, size: l.RequestSize, reason: l.Reason, problem: l.Error,
	}, letterRef{at: l.FailedAt.UnixMilli(), expires: l.Expires.UnixMilli()})
	if l.Request != nil {
		tx.setEncoded(idKey(prefixRequest, one.ID), encodeRequest(l.Request))
	}
}

// parseIdempotencyKey reads what idempotencyKey returned.
func parseIdempotencyKey(key []byte) (owner, name string, ok bool) {
	before, after, ok := bytes.Cut(key[1:], []byte{0})
	return string(before), string(after), ok
}
