package redis

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/openhqm/openhqm/domain"
)

// shard is a queue and store of its own. All of its keys begin with key, whose hash tag keeps them on one node of a
// Cluster.
type shard struct {
	number int
	key    string
}

func newShards(queue string, n int) []*shard {
	shards := make([]*shard, max(n, 1))
	for i := range shards {
		shards[i] = &shard{number: i, key: "{" + queue + ":" + strconv.Itoa(i) + "}"}
	}
	return shards
}

// requireShards refuses a number of shards that is not the one that the queue was made with: processes that do not
// agree on it look for requests where they are not.
func (db *DB) requireShards(ctx context.Context) error {
	key, n := db.shards[0].key+":shards", len(db.shards)
	pipe := db.client.Pipeline()
	pipe.SetNX(ctx, key, n, 0)
	made := pipe.Get(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil {
		return translate(err)
	}
	if there, err := made.Int(); err != nil || there != n {
		return fmt.Errorf("redis.shards is %d, but the queue was made with %s: once it is drained, delete the key %s",
			n, made.Val(), key)
	}
	return nil
}

// home is the shard that a new request goes to. One with an idempotency key goes where that key is, so that both are
// one step.
func (db *DB) home(r *domain.Request) *shard {
	if r.Idempotency != nil {
		return db.shardOf(idempotencyKey(r))
	}
	return db.shardOf(string(r.ID))
}

func (db *DB) shardOf(key string) *shard {
	if len(db.shards) == 1 {
		return db.shards[0]
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return db.shards[h.Sum32()%uint32(len(db.shards))]
}

// searched lists the shards in the order in which to look for a request: those with an idempotency key are not where
// their id says.
func (db *DB) searched(id domain.ID) []*shard {
	first := db.shardOf(string(id))
	shards := make([]*shard, 0, len(db.shards))
	shards = append(shards, first)
	for _, s := range db.shards {
		if s != first {
			shards = append(shards, s)
		}
	}
	return shards
}

// idempotencyKey is the caller's key in the scope of its owner; the length keeps ab+c apart from a+bc.
func idempotencyKey(r *domain.Request) string {
	return strconv.Itoa(len(r.Owner)) + ":" + r.Owner + ":" + r.Idempotency.Key
}
