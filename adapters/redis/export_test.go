package redis

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Tidy removes consumers of every shard that hold nothing and were not seen for so long.
func (db *DB) Tidy(ctx context.Context, unseen time.Duration) error {
	for _, s := range db.server.Shards {
		if err := db.sweeper.tidy(ctx, s, unseen); err != nil {
			return err
		}
	}
	return nil
}

// ShardKey returns what the keys of a request begin with that has no idempotency key.
func (db *DB) ShardKey(id domain.ID) string { return db.server.ShardOf(string(id)).Key }

// ShardKeys returns what the keys of each shard begin with.
func (db *DB) ShardKeys() []string {
	keys := make([]string, len(db.server.Shards))
	for i, s := range db.server.Shards {
		keys[i] = s.Key
	}
	return keys
}

// PassOn writes a wake-up again, as a worker does that received it too late.
func (c *Consumer) PassOn(key string) { c.passOn(key) }
