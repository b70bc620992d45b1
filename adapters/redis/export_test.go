package redis

import (
	"context"
	"time"
)

// Tidy removes consumers of every shard that hold nothing and were not seen for so long.
func (db *DB) Tidy(ctx context.Context, unseen time.Duration) error {
	for _, s := range db.shards {
		if err := db.tidy(ctx, s, unseen); err != nil {
			return err
		}
	}
	return nil
}
