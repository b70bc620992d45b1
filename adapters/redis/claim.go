package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/ports"
)

// Claim notes in Redis that processes of that queue.type use this queue from now on, and that this process does, until
// the database is closed. It changes nothing and returns ports.ErrMisconfigured while another carrier has unfinished
// requests of it, whose messages no process of ours would ever receive, and when the queue was moved or is being moved.
// While processes of another queue.type run, which could still accept such requests, it returns ports.ErrUnavailable.
// Errors also match that for other reasons. It is called once.
func (db *DB) Claim(ctx context.Context, queueType string) error {
	// Announced before the mark is read: Users finds this process, or this process finds the mark of a move. For the same
	// reason, of two processes of different types one at least finds the other.
	if err := db.presence.begin(ctx, queueType); err != nil {
		return err
	}
	mark, err := db.Mark(ctx)
	if err == nil {
		err = mark.Refusal()
	}
	former := ""
	if err == nil {
		former, err = db.former(ctx, queueType)
	}
	if err == nil {
		err = db.presence.alone(ctx, queueType)
	}
	if err == nil && former != queueType {
		err = db.adopt(ctx, queueType)
	}
	if err != nil {
		return errors.Join(err, db.presence.withdraw(ctx))
	}
	db.presence.stay()
	return nil
}

// Adopt is Claim for a move: this process is not one that uses the queue.
func (db *DB) Adopt(ctx context.Context, queueType string) error {
	former, err := db.former(ctx, queueType)
	if err != nil || former == queueType {
		return err
	}
	return db.adopt(ctx, queueType)
}

func (db *DB) carrierKey() string { return db.server.Shards[0].Key + ":carrier" }

func (db *DB) adopt(ctx context.Context, queueType string) error {
	return server.Translate(db.server.Client.Set(ctx, db.carrierKey(), queueType, 0).Err())
}

// former returns the queue.type that was claimed last, and an error while that is another one which has unfinished
// requests.
func (db *DB) former(ctx context.Context, queueType string) (string, error) {
	former, err := db.server.Client.Get(ctx, db.carrierKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", server.Translate(err)
	}
	if former == queueType {
		return former, nil
	}
	left, err := db.carried(ctx)
	switch {
	case err != nil:
		return "", err
	case left > 0 && former != "":
		return "", fmt.Errorf("%w: queue.type is %s, but %s still carries %d unfinished requests; stop all processes and "+
			"run openhqm move --from OLD.yaml --to NEW.yaml, or run with queue.type %s until none is left",
			ports.ErrMisconfigured, queueType, former, left, former)
	default:
		return former, nil
	}
}

// carried counts the unfinished requests that a carrier has.
func (db *DB) carried(ctx context.Context) (n int64, err error) {
	for _, s := range db.server.Shards {
		for _, key := range []string{s.CarriedKey(), s.LentKey()} {
			found, err := db.server.Client.ZCard(ctx, key).Result()
			if err != nil {
				return 0, server.Translate(err)
			}
			n += found
		}
	}
	return n, nil
}
