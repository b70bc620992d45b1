package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// found is what Redis holds of a request.
type found struct {
	state

	shard    *shard
	response []byte // only read with a whole record
}

// State reads a record without its response.
func (db *DB) State(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !db.enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer db.leave()
	f, err := db.read(ctx, id, stateFields)
	return f.Record, err
}

// wholeFields are what a whole record is read from.
var wholeFields = append(append([]string{}, stateFields...), "response")

// Find reads a whole record.
func (db *DB) Find(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !db.enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer db.leave()
	f, err := db.read(ctx, id, wholeFields)
	if err != nil {
		return domain.Record{}, err
	}
	rec, err := f.whole(f.response)
	if err != nil {
		return domain.Record{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return rec, nil
}

// read finds a record. One that is past its deadline, and that nobody works on, is ended first.
func (db *DB) read(ctx context.Context, id domain.ID, fields []string) (found, error) {
	f, err := db.search(ctx, id, fields)
	if err != nil || !f.late(db.opts.Now()) {
		return f, err
	}
	if err := db.expire(ctx, f.shard, id); err != nil {
		return found{}, err
	}
	return db.search(ctx, id, fields)
}

func (f *found) late(now time.Time) bool {
	return f.Status == domain.Pending && now.After(f.Deadline.Add(lateAfter))
}

// search looks through the shards. One that fails is an error only when the request is in none of the others.
func (db *DB) search(ctx context.Context, id domain.ID, fields []string) (found, error) {
	failure := ports.ErrNotFound
	for _, s := range db.searched(id) {
		values, err := db.client.HMGet(ctx, s.recordKey(id), fields...).Result()
		err = translate(err)
		db.report(ctx, err)
		if err != nil {
			failure = err
			continue
		}
		st, there, err := decodeState(id, values)
		if err != nil {
			return found{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
		}
		if there {
			return found{state: st, shard: s, response: []byte(text(values, len(stateFields)))}, nil
		}
	}
	return found{}, failure
}

func (s *shard) recordKey(id domain.ID) string { return s.key + ":r:" + string(id) }

// Wait waits for a record to become final.
func (db *DB) Wait(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !db.enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer db.leave()
	look, leave := db.waiters.add(id)
	defer leave()
	db.waiters.listen()
	for {
		over := ctx.Err() != nil // before the look, which then is the last one
		f, err := db.read(context.WithoutCancel(ctx), id, stateFields)
		if err != nil || f.Status.Final() || over {
			return f.Record, err
		}
		select {
		case <-look:
		case <-ctx.Done():
		case <-db.ctx.Done():
			return f.Record, ports.ErrClosed
		}
	}
}
