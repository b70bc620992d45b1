package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Consumer hands out work. It implements ports.Work, and ports.StoreWork for requests that a carrier has.
type Consumer struct {
	opts     *Options
	server   *server.Server
	intake   *server.Committer
	outcomes *server.Committer
	sweeper  *sweeper
	news     *news

	name    string          // unique for as long as it lives
	life    context.Context // when it ends, so does the consumer
	leases  *leases
	repeats repeats

	mu       sync.Mutex // guards what follows
	first    int        // the shard to begin with
	lanes    domain.LaneTurn
	turns    []int64 // by shard, the endpoint that comes next
	returned []bool  // by shard, whether something there was handed back
}

var (
	_ ports.Work      = (*Consumer)(nil)
	_ ports.StoreWork = (*Consumer)(nil)
)

// Receive hands out what is ready, and waits until something is. When Redis began deliveries and its answer was lost,
// nobody knows their tokens: they wait for the end of their lease, and are then handed out again with one more delivery
// counted.
func (c *Consumer) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	if !c.server.Enter() {
		return nil, ports.ErrClosed
	}
	defer c.server.Leave()
	var pause outage.Backoff
	for {
		if c.ended() {
			return nil, ports.ErrClosed
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b, err := c.fetch(ctx, credit)
		if len(b.deliveries) > 0 {
			return b.deliveries, nil
		}
		if err == nil && !b.unfinished {
			err = c.awaitWakeUp(ctx, b.endpoints)
		}
		switch {
		case errors.Is(err, ports.ErrClosed):
			return nil, err
		case err != nil:
			c.server.Sleep(ctx, pause.Next())
		default:
			pause.Reset()
		}
	}
}

// Take hands out what is ready, without waiting for anything.
func (c *Consumer) Take(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	if !c.server.Enter() {
		return nil, ports.ErrClosed
	}
	defer c.server.Leave()
	if c.ended() {
		return nil, ports.ErrClosed
	}
	b, err := c.fetch(ctx, credit)
	if len(b.deliveries) > 0 {
		return b.deliveries, nil
	}
	return nil, err
}

func (c *Consumer) ended() bool { return c.server.Context().Err() != nil || c.life.Err() != nil }

// tokenShard ends the number of the shard, with which a token begins.
const tokenShard = "-"

func newTokenPrefix(s *server.Shard) string { return tokenIn(s, server.Unique()) }

func tokenIn(s *server.Shard, rest string) string { return strconv.Itoa(s.Number) + tokenShard + rest }

// shardOfToken returns the shard of a delivery, or nil if the token is not one of ours.
func (c *Consumer) shardOfToken(token string) *server.Shard {
	head, _, found := strings.Cut(token, tokenShard)
	number, err := strconv.Atoi(head)
	if !found || err != nil || number < 0 || number >= len(c.server.Shards) {
		return nil
	}
	return c.server.Shards[number]
}
