package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
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

// Reader reads a stream of another program.
type Reader struct{ reader }

// NewReader makes one.
func (db *DB) NewReader(stream string) *Reader {
	return &Reader{newReader(db, stream, blockFor)}
}

// Next returns what it reads next, as a process of its own would.
func (r *Reader) Next(ctx context.Context) ([]redis.XMessage, error) { return r.next(ctx, 64, 16<<20) }
