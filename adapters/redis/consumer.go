package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Consumer hands out work. It implements ports.Work.
type Consumer struct {
	db     *DB
	name   string // unique, for as long as it lives
	life   context.Context
	leases *leases
	unsure unsure

	mu     sync.Mutex
	first  int     // the shard to begin with
	streak int     // deliveries from the high lane since the last one from the low lane
	turns  []int64 // by shard, the endpoint that comes next
}

var _ ports.Work = (*Consumer)(nil)

// NewConsumer makes a consumer that lives until ctx ends. Then it gets nothing more, its leases run out, and what it
// held is handed to others. The returned function waits for the goroutine that extends the leases, which also ends with
// the database.
func (db *DB) NewConsumer(ctx context.Context) (c *Consumer, wait func()) {
	c = &Consumer{
		db: db, name: consumerName(), life: ctx,
		leases: newLeases(db), turns: make([]int64, len(db.shards)),
		unsure: unsure{byToken: make(map[string]string)},
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.leases.keep(ctx)
	}()
	return c, func() { <-stopped }
}

// consumerName tells an operator where a consumer runs.
func consumerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + unique()
}

func unique() string { return strconv.FormatUint(rand.Uint64(), 36) }

// Receive hands out what is ready. When Redis began deliveries and its answer was lost, nobody knows their tokens: they
// wait for the end of their lease, and are then handed out again with one more delivery counted.
func (c *Consumer) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	if !c.db.enter() {
		return nil, ports.ErrClosed
	}
	defer c.db.leave()
	var pause outage.Backoff
	for {
		if err := c.ended(ctx); err != nil {
			return nil, err
		}
		h, err := c.take(ctx, credit)
		if len(h.deliveries) > 0 {
			return h.deliveries, nil
		}
		if err == nil && !h.unfinished {
			err = c.await(ctx, h.endpoints)
		}
		switch {
		case errors.Is(err, ports.ErrClosed):
			return nil, err
		case err != nil:
			c.db.sleep(ctx, pause.Next())
		default:
			pause.Reset()
		}
	}
}

// ended tells why there is nothing to wait for any more.
func (c *Consumer) ended(ctx context.Context) error {
	if c.db.ctx.Err() != nil || c.life.Err() != nil {
		return ports.ErrClosed
	}
	return context.Cause(ctx)
}

// deliveries reads what was begun. A request that cannot be read is a dead letter at once.
func (c *Consumer) deliveries(s *shard, sent time.Time, rows []script.Row) []ports.Delivery {
	out := make([]ports.Delivery, 0, len(rows))
	for _, row := range rows {
		id, token, attempts := domain.ID(row.Text("id")), row.Text("token"), int(row.Number("attempts"))
		rec, err := decodeFacts(id, row.Bytes("facts"))
		var req domain.Request
		if err == nil {
			req, err = decodeRequest(&rec, row.Bytes("request"))
		}
		if err != nil {
			c.reject(id, token, attempts, err)
			continue
		}
		out = append(out, ports.Delivery{
			Request: req, Attempts: attempts, Answered: row.Number("answered") == 1,
			Deliveries: int(row.Number("deliveries")), Token: token, Lease: c.leases.add(s, id, token, sent),
		})
	}
	return out
}

func (c *Consumer) reject(id domain.ID, token string, attempts int, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.db.ctx), c.db.opts.Lease)
	defer cancel()
	err := c.finish(ctx, []ports.Finish{{
		ID: id, Token: token,
		Outcome: domain.Outcome{
			Status: domain.Failed, Attempts: attempts, At: c.db.opts.Now(),
			Reason: domain.ReasonUndecodable, Error: cause.Error(),
		},
	}})[0]
	c.db.opts.Logger.Error("request cannot be read", "correlation_id", id, "error", cause, "finish", err)
}
