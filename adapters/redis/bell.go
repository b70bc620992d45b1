package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	blockFor    = time.Second      // of one blocking read; after it a worker looks by itself
	blockGrace  = time.Second      // how late such a read may end
	bellTimeout = 5 * time.Second  // of what is done about a bell
	stirredKept = 10 * time.Second // how long the bell of a worker that stopped listening is kept
)

// heard is how a blocking read ended: something rang, or nothing did, or it failed.
type heard struct {
	rang bool
	err  error
}

// await blocks until there may be work in a shard for one of its endpoints, or about a second passes, or ctx ends.
// Shards that do not answer are left out; that none of the others can be listened to is an error.
//
// A bell is a list that holds one element while an endpoint has ready work, so one idle worker wakes for each bell that
// rings, not all of them. It only says where to look: one that is lost, with the process that heard it, costs the
// others that second.
func (c *Consumer) await(ctx context.Context, endpoints [][]string) error {
	ctx, cancel := context.WithTimeout(ctx, blockFor+blockGrace) // a node that hangs ends no read
	defer cancel()
	for _, other := range []context.Context{c.life, c.db.ctx} {
		stop := context.AfterFunc(other, cancel)
		defer stop()
	}
	parts := c.db.answering()
	ends := make(chan heard, len(parts))
	for _, shards := range parts {
		c.db.loops.Go(func() { ends <- c.listen(ctx, shards, endpoints) })
	}
	var failure error
	failures := 0
	for range parts {
		select {
		case end := <-ends:
			if end.rang {
				return nil
			}
			if end.err != nil {
				failure, failures = end.err, failures+1
			}
		case <-ctx.Done():
			return nil
		}
	}
	if failures < len(parts) {
		return nil // the others have waited
	}
	return failure
}

// listen blocks on the bells of shards that share a server. A blocking read does not end with ctx, so the consumer then
// rings a bell that is this read's own. What it hears too late it passes on.
func (c *Consumer) listen(ctx context.Context, shards []*shard, endpoints [][]string) heard {
	own := shards[0].bellKey("") + ":" + c.name + "-" + unique()
	bells := []string{own}
	for _, s := range shards {
		bells = append(bells, s.bellKey("")) // for endpoints that are new
		for _, endpoint := range endpoints[s.number] {
			bells = append(bells, s.bellKey(endpoint))
		}
	}
	stirred := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stirred)
		c.stir(own)
	})
	rung, err := c.db.blocking.BLPop(context.WithoutCancel(ctx), blockFor, bells...).Result()
	late := !stop()
	if late {
		<-stirred
	}
	mine := err == nil && rung[0] == own
	if late && !mine {
		c.unstir(own)
	}
	switch {
	case errors.Is(err, redis.Nil):
		return heard{}
	case err != nil:
		return heard{err: translate(err)}
	case late && !mine:
		c.passOn(rung[0])
	}
	return heard{rang: true}
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

// unstir removes the own bell of a read that had ended before it was stirred.
func (c *Consumer) unstir(own string) {
	if c.db.ctx.Err() != nil {
		return // it was not stirred
	}
	ctx, cancel := context.WithTimeout(c.db.ctx, bellTimeout)
	defer cancel()
	_ = c.db.client.Del(ctx, own).Err() // without it the key expires
}

// passOn rings a bell again that this consumer does not follow. It may ring already, and holds one element after that.
func (c *Consumer) passOn(bell string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.db.ctx), bellTimeout)
	defer cancel()
	pipe := c.db.client.TxPipeline()
	pipe.Del(ctx, bell)
	pipe.LPush(ctx, bell, "1")
	_, _ = pipe.Exec(ctx) // without it others look by themselves, only later
}
