package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
)

// A wake-up is a list that holds one element while an endpoint has ready work, so one idle worker wakes for each
// element, not all of them. It only says where to look: one that is lost, with the process that received it, costs the
// other workers about a second.

const (
	blockFor      = server.BlockFor  // of one blocking read; after it a worker looks by itself
	blockGrace    = time.Second      // how late such a read may end
	wakeUpTimeout = 5 * time.Second  // of a command that writes a wake-up
	ownKept       = 10 * time.Second // how long the wake-up of a worker that stopped waiting is kept
)

// wait is how a blocking read ended: with a wake-up, or with nothing, or it failed.
type wait struct {
	woken bool
	err   error
}

// awaitWakeUp blocks until there may be work in a shard for one of its endpoints, or about a second passes, or ctx
// ends. Shards that do not answer are left out. It is an error when no shard can be read.
func (c *Consumer) awaitWakeUp(ctx context.Context, endpoints [][]string) error {
	ctx, cancel := context.WithTimeout(ctx, blockFor+blockGrace) // a node that hangs ends no read
	defer cancel()
	for _, other := range []context.Context{c.life, c.server.Context()} {
		stop := context.AfterFunc(other, cancel)
		defer stop()
	}
	parts := c.server.Answering()
	ends := make(chan wait, len(parts))
	for _, shards := range parts {
		c.server.Go(func() { ends <- c.block(ctx, shards, endpoints) })
	}
	var failure error
	failures := 0
	for range parts {
		select {
		case end := <-ends:
			if end.woken {
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
		return nil // the other parts have waited
	}
	return failure
}

// block blocks on the wake-ups of shards that share a server. A blocking read does not end with ctx, so the consumer
// then writes a wake-up that is this read's own. A wake-up that comes too late is passed on.
func (c *Consumer) block(ctx context.Context, shards []*server.Shard, endpoints [][]string) wait {
	own := shards[0].WakeUpKey("") + ":" + c.name + "-" + server.Unique()
	keys := []string{own}
	for _, s := range shards {
		keys = append(keys, s.WakeUpKey("")) // for endpoints that are new
		for _, endpoint := range endpoints[s.Number] {
			keys = append(keys, s.WakeUpKey(endpoint))
		}
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		c.interrupt(own)
	})
	popped, err := c.server.Blocking.BLPop(context.WithoutCancel(ctx), blockFor, keys...).Result()
	late := !stop()
	if late {
		<-interrupted
	}
	mine := err == nil && popped[0] == own
	if late && !mine {
		c.removeInterrupt(own)
	}
	switch {
	case errors.Is(err, redis.Nil):
		return wait{}
	case err != nil:
		err = server.Translate(fmt.Errorf("wait for ready requests: %w", err))
		c.server.Report(ctx, err)
		return wait{err: err}
	case late && !mine:
		c.passOn(popped[0])
	}
	return wait{woken: true}
}

// interrupt ends this consumer's own blocking read.
func (c *Consumer) interrupt(own string) {
	if c.server.Context().Err() != nil {
		return // Close ends it
	}
	ctx, cancel := context.WithTimeout(c.server.Context(), wakeUpTimeout)
	defer cancel()
	pipe := c.server.Client.Pipeline()
	pipe.LPush(ctx, own, "1")
	pipe.Expire(ctx, own, ownKept)
	_, _ = pipe.Exec(ctx) // the read ends by itself, only later
}

// removeInterrupt removes the wake-up of a read that had ended before it was interrupted.
func (c *Consumer) removeInterrupt(own string) {
	if c.server.Context().Err() != nil {
		return // it was not interrupted
	}
	ctx, cancel := context.WithTimeout(c.server.Context(), wakeUpTimeout)
	defer cancel()
	_ = c.server.Client.Del(ctx, own).Err() // without it the key expires
}

// passOn writes a wake-up again that this consumer does not follow. The list may have an element already, and has one
// after that.
func (c *Consumer) passOn(key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.server.Context()), wakeUpTimeout)
	defer cancel()
	pipe := c.server.Client.TxPipeline()
	pipe.Del(ctx, key)
	pipe.LPush(ctx, key, "1")
	_, _ = pipe.Exec(ctx) // without it workers look by themselves, only later
}
