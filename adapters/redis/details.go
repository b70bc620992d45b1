package redis

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// Probe writes to every shard. That memory is full is no error but a detail: what was accepted can be read, and is
// worked off.
func (db *DB) Probe(ctx context.Context) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	full := false
	for _, s := range db.shards {
		err := translate(db.client.Set(ctx, s.key+":probe", "1", time.Minute).Err())
		switch {
		case errors.Is(err, ports.ErrFull):
			full = true
		case err != nil:
			return err
		}
	}
	db.full.Store(full)
	return nil
}

// Details tells what makes Redis keep less than a 202 promises: no persistence, or a policy that evicts keys when
// memory runs out. Where Redis does not let us ask, there is nothing to tell. On a Cluster one node is asked. It also
// tells of memory that was full at the last Probe.
func (db *DB) Details() map[string]string {
	details := make(map[string]string)
	if configured := db.details.Load(); configured != nil {
		maps.Copy(details, *configured)
	}
	if db.full.Load() {
		details["memory"] = "redis has reached maxmemory: new requests are refused"
	}
	return details
}

// inspect reads how Redis is configured, and logs what is new of it.
func (db *DB) inspect(ctx context.Context) {
	details := make(map[string]string)
	if text := db.persistence(ctx); text != "" {
		details["persistence"] = text
	}
	if text := db.eviction(ctx); text != "" {
		details["eviction"] = text
	}
	if known := db.details.Load(); known == nil || !maps.Equal(details, *known) {
		for part, text := range details {
			db.opts.Logger.Warn("redis keeps less than a 202 promises", "part", part, "reason", text)
		}
	}
	db.details.Store(&details)
}

func (db *DB) persistence(ctx context.Context) string {
	appendOnly, known := db.setting(ctx, "appendonly")
	snapshots, alsoKnown := db.setting(ctx, "save")
	switch {
	case !known || !alsoKnown || appendOnly == "yes":
		return ""
	case snapshots == "":
		return "appendonly is off and there are no snapshots: a restart loses everything"
	default:
		return "appendonly is off: a crash loses what came after the last snapshot"
	}
}

func (db *DB) eviction(ctx context.Context) string {
	policy, known := db.setting(ctx, "maxmemory-policy")
	if !known || policy == "noeviction" {
		return ""
	}
	limit, known := db.setting(ctx, "maxmemory")
	if !known || strings.TrimSpace(limit) == "0" {
		return "" // without a limit nothing is evicted
	}
	return "maxmemory-policy is " + policy + ": requests may be evicted, and only noeviction keeps them"
}

// setting reads one setting; it reports false where that is forbidden.
func (db *DB) setting(ctx context.Context, name string) (string, bool) {
	values, err := db.client.ConfigGet(ctx, name).Result()
	value, found := values[name]
	return value, err == nil && found
}
