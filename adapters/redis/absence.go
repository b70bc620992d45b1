package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// absence knows whether Redis cannot be used, and which shards.
type absence struct {
	outage.Log

	mu     sync.Mutex
	silent map[*shard]struct{} // shards that could not be used the last time
}

// report takes note of how a call of Redis ended. While a shard is silent, nothing is over.
func (o *absence) report(err error) {
	if errors.Is(err, ports.ErrClosed) || errors.Is(err, ports.ErrFull) || err == nil && o.anySilent() {
		return
	}
	o.Report(err)
}

func (o *absence) anySilent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.silent) > 0
}

// note takes note of whether a shard could be used.
func (o *absence) note(s *shard, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, ports.ErrFull):
		delete(o.silent, s)
	case o.silent == nil:
		o.silent = map[*shard]struct{}{s: {}}
	default:
		o.silent[s] = struct{}{}
	}
}

func (o *absence) isSilent(s *shard) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, silent := o.silent[s]
	return silent
}

// note takes note of how a call of a shard ended that nobody cut off. The sweeper calls every shard at least once a
// second, so one that answers again is known soon.
func (db *DB) note(s *shard, err error) {
	if db.ctx.Err() != nil {
		return
	}
	db.absence.note(s, err)
	db.absence.report(err)
	if errors.Is(err, ports.ErrUnavailable) {
		db.relearn()
	}
}

// apart gives the shards in parts, of which each fails alone: on a Cluster a shard may be on a node of its own,
// otherwise all are on one server.
func (db *DB) apart() [][]*shard {
	if _, cluster := db.client.(*redis.ClusterClient); !cluster {
		return [][]*shard{db.shards}
	}
	parts := make([][]*shard, len(db.shards))
	for i := range db.shards {
		parts[i] = db.shards[i : i+1]
	}
	return parts
}

// answering is apart without the shards that could not be used the last time, unless that is all of them.
func (db *DB) answering() [][]*shard {
	var parts [][]*shard
	for _, shards := range db.apart() {
		shards = slices.DeleteFunc(slices.Clone(shards), db.absence.isSilent)
		if len(shards) > 0 {
			parts = append(parts, shards)
		}
	}
	if len(parts) == 0 {
		return db.apart()
	}
	return parts
}

// relearn makes the client of a Cluster ask which node has which slot, soon and only once for many calls. By itself it
// asks when a node sends it elsewhere, and not when a node is gone. Sentinel tells its client of a new master.
func (db *DB) relearn() {
	if cluster, ok := db.client.(*redis.ClusterClient); ok && db.ctx.Err() == nil {
		cluster.ReloadState(db.ctx)
	}
}

// sleep returns after d, or when ctx ends or the database is closed.
func (db *DB) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-db.ctx.Done():
	}
}
