package redis

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
)

// shard is a queue and store of its own. All of its keys begin with key, whose hash tag keeps them on one node of a
// Cluster. That of the first is the queue's name alone, so the stream of that name is there too.
type shard struct {
	number int
	key    string
}

// tagSeparator stands between name and number. No name holds it, so no shard is another queue's.
const tagSeparator = "/"

func newShards(queue string, n int) []*shard {
	shards := make([]*shard, max(n, 1))
	for i := range shards {
		shards[i] = &shard{number: i, key: "{" + queue + tagSeparator + strconv.Itoa(i) + "}"}
	}
	shards[0].key = "{" + queue + "}"
	return shards
}

// What stands for the number of shards of a queue whose requests are for consumers that are not ours: in a stream of
// Redis, with one shard, or on another broker, before the number.
const (
	handedOver          = "handover"
	handedOverElsewhere = handedOver + tagSeparator
)

// requireShards refuses a number of shards that is not the one that the queue was made with, and other consumers than
// those it was made for: processes that do not agree on these look for requests where they are not.
func (db *DB) requireShards(ctx context.Context) error {
	key, want := db.shards[0].key+":shards", strconv.Itoa(len(db.shards))
	switch {
	case db.handsOverElsewhere():
		want = handedOverElsewhere + want
	case db.opts.Handover:
		want = handedOver
	}
	there, err := db.client.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		// Another process may be faster. Only a new queue is written to: one that has used up memory can still be opened.
		if err = db.client.SetNX(ctx, key, want, 0).Err(); err == nil {
			there, err = db.client.Get(ctx, key).Result()
		}
	}
	switch {
	case err != nil:
		return translate(err)
	case there != want:
		return db.misplaced(key, there, want)
	default:
		return nil
	}
}

// misplaced tells what is the matter with a queue that was made for something else.
func (db *DB) misplaced(key, there, want string) error {
	const remedy = "once it is drained, delete the key "
	foreign := strings.HasPrefix(there, handedOver)
	switch {
	case foreign && !db.opts.Handover:
		return errors.New("the queue was made for consumers that are not ours: " + remedy + key)
	case !foreign && db.opts.Handover:
		return errors.New("the queue was made for our own consumers, not for others: " + remedy + key)
	case (there == handedOver) != (want == handedOver):
		return errors.New("the queue was made for consumers of another broker: " + remedy + key)
	default:
		return fmt.Errorf("redis.shards is %d, but the queue was made with %s: %s",
			len(db.shards), strings.TrimPrefix(there, handedOverElsewhere), remedy+key)
	}
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
