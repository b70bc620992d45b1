package redis

import "github.com/openhqm/openhqm/domain"

// ShardKey is what the keys of a request begin with that has no idempotency key.
func (db *DB) ShardKey(id domain.ID) string { return db.shardOf(string(id)).key }

// ShardKeys lists what the keys of each shard begin with.
func (db *DB) ShardKeys() []string {
	keys := make([]string, len(db.shards))
	for i, s := range db.shards {
		keys[i] = s.key
	}
	return keys
}

// PassOn rings a bell as a worker does that heard it too late.
func (c *Consumer) PassOn(bell string) { c.passOn(bell) }
