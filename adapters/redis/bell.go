package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	blockFor    = time.Second      // of one blocking read; after it a worker looks by itself
	bellTimeout = 5 * time.Second  // of what is done about a bell
	stirredKept = 10 * time.Second // how long the bell of a worker that stopped listening is kept
)

// await blocks until there may be work in a shard for one of its endpoints, or about a second passes, or ctx ends.
//
// A bell is a list that holds one element while an endpoint has ready work, so one idle worker wakes for each bell that
// rings, not all of them. It only says where to look: one that is lost, with the process that heard it, costs the
// others that second.
func (c *Consumer) await(ctx context.Context, endpoints [][]string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, other := range []context.Context{c.life, c.db.ctx} {
		stop := context.AfterFunc(other, cancel)
		defer stop()
	}
	heard := make(chan error, len(c.db.shards))
	for i, s := range c.db.shards {
		c.db.loops.Go(func() { heard <- c.listen(ctx, s, endpoints[i]) })
	}
	select {
	case err := <-heard:
		return err
	case <-ctx.Done():
		return nil
	}
}

// listen blocks on the bells of a shard. A blocking read does not end with ctx, so the consumer then rings a bell of
// its own. What it hears too late it passes on.
func (c *Consumer) listen(ctx context.Context, s *shard, endpoints []string) error {
	own := s.bellKey("") + ":" + c.name
	bells := make([]string, 0, 2+len(endpoints))
	bells = append(bells, own, s.bellKey("")) // the latter is for endpoints that are new
	for _, endpoint := range endpoints {
		bells = append(bells, s.bellKey(endpoint))
	}
	stirred := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stirred)
		c.stir(own)
	})
	defer func() {
		if !stop() {
			<-stirred
		}
	}()
	rung, err := c.db.blocking.BLPop(context.WithoutCancel(ctx), blockFor, bells...).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return translate(err)
	}
	if bell := rung[0]; ctx.Err() != nil && bell != own {
		c.passOn(bell)
	}
	return nil
}

func (s *shard) bellKey(endpoint string) string { return s.key + ":bell:" + endpoint }

// stir wakes this consumer's own blocking read.
func (c *Consumer) stir(own string) {
	if c.db.ctx.Err() != nil {
		return // Close ends it
	}
	ctx, cancel := context.WithTimeout(c.db.ctx, bellTimeout)
	defer cancel()
	pipe := c.db.client.Pipeline()
	pipe.LPush(ctx, own, "1")
	pipe.Expire(ctx, own, stirredKept)
	_, _ = pipe.Exec(ctx) // the read ends by itself, only later
}

// passOn rings a bell again that this consumer does not follow.
func (c *Consumer) passOn(bell string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.db.ctx), bellTimeout)
	defer cancel()
	_ = c.db.client.LPush(ctx, bell, "1").Err() // without it others look by themselves, only later
}
