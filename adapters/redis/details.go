package redis

import (
	"context"
	"maps"
	"strings"
)

// Details tells what makes Redis keep less than a 202 promises: no persistence, or a policy that evicts keys when
// memory runs out. Where Redis does not let us ask, there is nothing to tell. On a Cluster one node is asked.
func (db *DB) Details() map[string]string {
	if details := db.details.Load(); details != nil {
		return *details
	}
	return nil
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
	if !maps.Equal(details, db.Details()) {
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
