package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Records reads what became of requests. It implements ports.Results and ports.Gauge.
type Records struct {
	opts    *Options
	server  *server.Server
	sweeper *sweeper
	waiters *waiters
}

var (
	_ ports.Results = (*Records)(nil)
	_ ports.Gauge   = (*Records)(nil)
)

// State reads a record without its response.
func (r *Records) State(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !r.server.Enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer r.server.Leave()
	f, err := r.read(ctx, id, codec.StateFields)
	return f.Record, err
}

// Find reads a whole record.
func (r *Records) Find(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !r.server.Enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer r.server.Leave()
	f, err := r.read(ctx, id, codec.WholeFields)
	if err != nil {
		return domain.Record{}, err
	}
	rec, _, err := codec.ReadRecord(id, f.row)
	if err != nil {
		return domain.Record{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return rec, nil
}

// Wait waits for a record to become final.
func (r *Records) Wait(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !r.server.Enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer r.server.Leave()
	look, leave := r.waiters.Add(id)
	defer leave()
	r.waiters.listen()
	for {
		over := ctx.Err() != nil // before the look, which then is the last one
		f, err := r.read(context.WithoutCancel(ctx), id, codec.StateFields)
		if err != nil || f.Status.Final() || over {
			return f.Record, err
		}
		select {
		case <-look:
		case <-ctx.Done():
		case <-r.server.Context().Done():
			return f.Record, ports.ErrClosed
		}
	}
}

// found is what Redis holds of a request.
type found struct {
	codec.State

	shard *server.Shard
	row   script.Row
}

// read finds a record. One that is overdue, and that nobody works on, is ended first.
func (r *Records) read(ctx context.Context, id domain.ID, fields []string) (found, error) {
	f, err := r.search(ctx, id, fields)
	if err != nil || !f.overdue(f.shard.Theirs(r.opts.Now())) {
		return f, err
	}
	if err := r.sweeper.expire(ctx, f.shard, id); err != nil {
		return found{}, err
	}
	return r.search(ctx, id, fields)
}

func (f *found) overdue(now time.Time) bool {
	return f.Status == domain.Pending && now.After(codec.OverdueAt(f.Deadline))
}

// search looks in the shards. One that fails is an error only when the request is in no other shard.
func (r *Records) search(ctx context.Context, id domain.ID, fields []string) (found, error) {
	failure := ports.ErrNotFound
	for _, s := range r.server.Searched(id) {
		values, err := r.server.Client.HMGet(ctx, s.RecordKey(id), fields...).Result()
		err = server.Translate(err)
		r.server.Report(ctx, err)
		if err != nil {
			failure = err
			continue
		}
		row := script.Row{Names: fields, Values: values}
		state, there, err := codec.ReadState(id, row)
		if err != nil {
			return found{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
		}
		if there {
			return found{state, s, row}, nil
		}
	}
	return found{}, failure
}

// Depths counts exactly, each shard at one moment.
func (r *Records) Depths(ctx context.Context) (ports.Depths, error) {
	if !r.server.Enter() {
		return ports.Depths{}, ports.ErrClosed
	}
	defer r.server.Leave()
	inPlainStream := r.opts.Handover && !r.opts.handsOverElsewhere()
	var d ports.Depths
	for _, s := range r.server.Shards {
		answer, err := r.server.Run(ctx, s, script.Depths.Call("handover", inPlainStream))
		if err != nil {
			return ports.Depths{}, err
		}
		d.Ready += answer.Number("ready")
		d.Delayed += answer.Number("delayed")
		d.Leased += answer.Number("leased")
		d.DeadLetters += answer.Number("deadLetters")
		d.Carried += answer.Number("carried")
		if oldest := answer.Number("oldest"); oldest > 0 {
			since := s.Ours(time.UnixMilli(oldest).UTC())
			if d.OldestReady.IsZero() || since.Before(d.OldestReady) {
				d.OldestReady = since
			}
		}
	}
	return d, nil
}
