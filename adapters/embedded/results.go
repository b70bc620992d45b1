package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// State reads a record without its response.
func (db *DB) State(ctx context.Context, id domain.ID) (domain.Record, error) {
	r, err := db.readDurable(ctx, id)
	if err != nil {
		return domain.Record{}, err
	}
	return r.Record, nil
}

// Find reads a whole record.
func (db *DB) Find(ctx context.Context, id domain.ID) (domain.Record, error) {
	r, err := db.readDurable(ctx, id)
	if err != nil {
		return domain.Record{}, err
	}
	if !r.Status.Final() {
		return r.Record, nil
	}
	rec := r.Record
	rec.Result = r.result()
	if r.answered {
		rec.Result.Response, err = db.readResponse(id)
	}
	return rec, err
}

// Wait waits for a record to become final, and leaves its response where it is.
func (db *DB) Wait(ctx context.Context, id domain.ID) (domain.Record, error) {
	final, leave := db.waiting.Add(id)
	defer leave()
	// Registered before the first look: what becomes final in between is not missed.
	rec, err := db.look(ctx, id)
	if err != nil || rec.Status.Final() {
		return rec, err
	}
	select {
	case <-final:
		return db.look(ctx, id)
	case <-ctx.Done():
		// As it is now. What is not yet on the disk nobody waits for any more.
		if latest, err := db.look(ctx, id); !errors.Is(err, ports.ErrUnavailable) {
			return latest, err
		}
		return rec, nil
	case <-db.done:
		return rec, db.ended()
	}
}

// lookTimeout bounds a look for somebody whose own time may be over. It takes one group commit at most.
const lookTimeout = 5 * time.Second

// look is State for those who get the record also when their time is over.
func (db *DB) look(ctx context.Context, id domain.ID) (domain.Record, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	return db.State(ctx, id)
}

// readDurable reads a row, and if the group that wrote it is not on disk yet waits until it is: what a client has seen
// must not be taken back by a crash.
func (db *DB) readDurable(ctx context.Context, id domain.ID) (*row, error) {
	if !db.enter() {
		return nil, ports.ErrClosed
	}
	defer db.leave()
	r, err := db.readRow(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	if r == nil {
		return nil, ports.ErrNotFound
	}
	if r.group > db.durable.Load() {
		// Any operation is answered after the groups before it.
		if err := db.do(ctx, 0, func(*txn) error { return nil }); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// readRow gives nil when there is none.
func (db *DB) readRow(id domain.ID) (*row, error) {
	value, err := db.get(idKey(prefixRecord, id))
	if err != nil || value == nil {
		return nil, err
	}
	r, err := decodeRow(id, value)
	if err == nil && r.Status == domain.Processing && r.token <= db.inherited {
		r.Status = domain.Pending // whoever held it is gone, with the process that was
	}
	return r, err
}

// readResponse gives ports.ErrNotFound when record and response were deleted since the row was read.
func (db *DB) readResponse(id domain.ID) (*domain.Response, error) {
	if !db.enter() {
		return nil, ports.ErrClosed
	}
	defer db.leave()
	value, err := db.get(idKey(prefixResponse, id))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	if value == nil {
		return nil, ports.ErrNotFound
	}
	return decodeResponse(value)
}
