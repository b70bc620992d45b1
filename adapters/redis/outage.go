package redis

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/ports"
)

// calm is how long nothing may have gone wrong before an outage is over: while Redis is read-only, say, reads succeed
// between the writes that do not.
const calm = 3 * time.Second

// outage writes one line when Redis cannot be used and one when it can again, whoever notices.
type outage struct {
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	away   bool
	failed time.Time           // the last time something went wrong
	silent map[*shard]struct{} // shards that could not be used the last time
}

// report takes note of how a call of Redis ended.
func (o *outage) report(err error) {
	if errors.Is(err, ports.ErrClosed) || errors.Is(err, ports.ErrFull) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
		o.failed = o.now()
		if !o.away {
			o.away = true
			o.logger.Error("redis cannot be used; trying again until it can", "error", err)
		}
	case o.away && len(o.silent) == 0 && o.now().Sub(o.failed) >= calm:
		o.away = false
		o.logger.Info("redis can be used again")
	}
}

// note takes note of whether a shard could be used.
func (o *outage) note(s *shard, err error) {
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

func (o *outage) isSilent(s *shard) bool {
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
	db.outage.note(s, err)
	db.outage.report(err)
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
		shards = slices.DeleteFunc(slices.Clone(shards), db.outage.isSilent)
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

// backoff is how long to wait before the next try: twice as long each time, within bounds, with a jitter of 20 %. The
// zero value is ready.
type backoff struct{ tries int }

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

func (b *backoff) next() time.Duration {
	pause := min(firstPause<<min(b.tries, 10), longestPause)
	b.tries++
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

func (b *backoff) reset() { b.tries = 0 }

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
