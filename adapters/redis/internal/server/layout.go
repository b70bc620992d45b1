package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What stands for the number of shards of a queue whose requests are for other programs: in a stream of Redis, with one
// shard, or on another broker, before the number.
const (
	handedOver          = "handover"
	handedOverElsewhere = handedOver + tagSeparator
)

// requireLayout refuses a number of shards that is not the one that the queue was made with, and other consumers than
// those it was made for: processes that do not agree on these look for requests where they are not.
func (s *Server) requireLayout(ctx context.Context) error {
	key, want := s.Shards[0].Key+":shards", strconv.Itoa(len(s.Shards))
	switch {
	case s.opts.HandoverOutbox:
		want = handedOverElsewhere + want
	case s.opts.Handover:
		want = handedOver
	}
	there, err := s.Client.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		// Another process may be faster. Only a new queue is written to: one that has used up memory can still be
		// opened.
		if err = s.Client.SetNX(ctx, key, want, 0).Err(); err == nil {
			there, err = s.Client.Get(ctx, key).Result()
		}
	}
	switch {
	case err != nil:
		return Translate(err)
	case there != want:
		return s.otherLayout(key, there, want)
	default:
		return nil
	}
}

// otherLayout returns the error for a queue that was made for something else.
func (s *Server) otherLayout(key, there, want string) error {
	const remedy = "once it is drained, delete the key "
	foreign := strings.HasPrefix(there, handedOver)
	switch {
	case foreign && !s.opts.Handover:
		return errors.New("the queue was created for workers of other programs: " + remedy + key)
	case !foreign && s.opts.Handover:
		return errors.New("the queue was created for our own workers, not for other programs: " + remedy + key)
	case (there == handedOver) != (want == handedOver):
		return errors.New("the queue was created for workers that read another broker: " + remedy + key)
	default:
		return fmt.Errorf("redis.shards is %d, but the queue was created with %s: %s",
			len(s.Shards), strings.TrimPrefix(there, handedOverElsewhere), remedy+key)
	}
}
