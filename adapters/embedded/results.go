package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// State implements ports.Results.
func (db *DB) State(ctx context.Context, id domain.ID) (domain.Record, error) {
	r, err := db.readDurable(ctx, id)
	if err != nil {
		return domain.Record{}, err
	}
	return r.Record, nil
}

// Find implements ports.Results.
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

// Wait implements ports.Results.
func (db *DB) Wait(ctx context.Context, id domain.ID) (domain.Record, error) {
	final, leave := db.waiting.Add(id)
	defer leave()
	// Registered before the first read, so that no change in between is missed.
	rec, err := db.stateNow(ctx, id)
	if err != nil || rec.Status.Final() {
		return rec, err
	}
	select {
	case <-final:
		return db.stateNow(ctx, id)
	case <-ctx.Done():
		// The record as it is now, unless that is not durable in time.
		if latest, err := db.stateNow(ctx, id); !errors.Is(err, ports.ErrUnavailable) {
			return latest, err
		}
		return rec, nil
	case <-db.done:
		return rec, db.endedErr()
	}
}

// readTimeout bounds a read for a caller whose own time may be over. It takes at most one group commit.
const readTimeout = 5 * time.Second

// stateNow is State for a caller that gets the record even after its ctx has ended.
func (db *DB) stateNow(ctx context.Context, id domain.ID) (domain.Record, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	return db.State(ctx, id)
}

// readDurable reads a row and blocks until the group that wrote it is durable: what a client has seen must not be
// undone by a crash.
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
		if err := db.flush(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// readRow returns nil when there is no row.
func (db *DB) readRow(id domain.ID) (*row, error) {
	value, err := db.get(idKey(prefixRecord, id))
	if err != nil || value == nil {
		return nil, err
	}
	r, err := decodeRow(id, value)
	if err == nil && r.Status == domain.Processing && r.token <= db.inherited {
		r.Status = domain.Pending // its holder ended with an earlier process
	}
	return r, err
}

// readResponse returns ports.ErrNotFound when record and response were deleted after the row was read.
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
