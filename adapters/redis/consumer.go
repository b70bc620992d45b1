package redis

import (
	"context"
	"errors"
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

	mu    sync.Mutex // guards what follows
	first int        // the shard to begin with
	lanes domain.LaneTurn
	turns []int64 // by shard, the endpoint that comes next
}

var (
	_ ports.Work      = (*Consumer)(nil)
	_ ports.StoreWork = (*Consumer)(nil)
)

// NewConsumer returns a consumer that lives until ctx ends. Then it receives nothing more, its leases end, and what it
// held is handed to other consumers. The returned function waits for the goroutine that extends the leases, which also
// ends when the database is closed.
func (db *DB) NewConsumer(ctx context.Context) (c *Consumer, wait func()) {
	c = &Consumer{
		opts: db.opts, server: db.server, intake: db.intake, outcomes: db.outcomes, sweeper: db.sweeper, news: db.news,
		name: server.ConsumerName(), life: ctx, leases: newLeases(db.server, db.opts.Lease),
		repeats: repeats{byToken: make(map[string]string)}, turns: make([]int64, len(db.server.Shards)),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.leases.keep(ctx)
	}()
	return c, func() { <-stopped }
}

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
