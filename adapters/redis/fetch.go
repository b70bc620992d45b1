package redis

import (
	"context"
	"slices"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Bounds of one Receive: while its script runs Redis does nothing else, and the answer must be here in time.
const (
	maxDeliveries     = 64
	maxDeliveredBytes = 16 << 20
)

// Which lanes a script looks in.
const (
	bothLanes  = "both"
	highLane   = codec.HighLane
	lowLane    = codec.LowLane
	handedBack = "returned" // in none
)

// batch is what one Receive hands out.
type batch struct {
	*ports.Allowance

	deliveries []ports.Delivery
	endpoints  [][]string // by shard, those to wait for when there is nothing
	unfinished bool       // not all leases that ended were looked at
}

// fetch begins what the credit allows. Deliveries that were begun before an error are returned with it.
func (c *Consumer) fetch(ctx context.Context, credit ports.Credit) (*batch, error) {
	credit.Count, credit.Bytes = min(credit.Count, maxDeliveries), min(credit.Bytes, maxDeliveredBytes)
	b := &batch{Allowance: ports.NewAllowance(credit), endpoints: make([][]string, len(c.server.Shards))}
	if len(c.server.Shards) == 1 {
		return b, c.fetchFrom(ctx, c.server.Shards[0], b, bothLanes, credit.Count)
	}
	return b, c.fetchByLane(ctx, b)
}

// fetchByLane fetches from many shards: first what was handed back, then the low lane's share, then from the high lane,
// then whatever there is. A script sees its own shard alone, and the high lane of one goes before the low lane of
// another. A shard that fails does not hold up the other shards; it is an error when none answers.
func (c *Consumer) fetchByLane(ctx context.Context, b *batch) error {
	var failure error
	answered := false
	shards := c.nextShards()
	all := b.Left().Count
	for _, part := range []struct {
		lane   string
		count  int
		shards []*server.Shard
	}{
		{handedBack, all, c.withReturned(shards)},
		{lowLane, c.lowShare(all), shards},
		{highLane, all, shards},
		{lowLane, all, shards},
	} {
		atMost := len(b.deliveries) + part.count
		for _, s := range part.shards {
			n := min(atMost-len(b.deliveries), b.Left().Count)
			if n <= 0 || failure != nil && c.server.Silent(s) {
				continue
			}
			if err := c.fetchFrom(ctx, s, b, part.lane, n); err != nil {
				failure = err
			} else {
				answered = true
			}
		}
	}
	b.deliveries = c.interleave(b.deliveries)
	if answered {
		return nil
	}
	return failure
}

// nextShards returns the shards that answer, each time beginning with another one.
func (c *Consumer) nextShards() []*server.Shard {
	shards := slices.Concat(c.server.Answering()...)
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.first % len(shards)
	c.first = (first + 1) % len(shards)
	return slices.Concat(shards[first:], shards[:first])
}

// withReturned returns the shards where something is known to have been handed back.
func (c *Consumer) withReturned(shards []*server.Shard) []*server.Shard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(shards), func(s *server.Shard) bool { return !c.returned[s.Number] })
}

// noteReturned notes that something was handed back in a shard.
func (c *Consumer) noteReturned(s *server.Shard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returned[s.Number] = true
}

// lowShare returns how many of the next n deliveries come from the low lane if both lanes have enough.
func (c *Consumer) lowShare(n int) (share int) {
	c.mu.Lock()
	lanes := c.lanes
	c.mu.Unlock()
	for range n {
		lane := lanes.Order()[0]
		if lanes.Took(lane); lane == domain.LaneLow {
			share++
		}
	}
	return share
}

// interleave brings deliveries of both lanes into the order in which they are promised.
func (c *Consumer) interleave(deliveries []ports.Delivery) []ports.Delivery {
	var lanes [domain.LaneCount][]ports.Delivery
	for _, d := range deliveries {
		lane := d.Request.Lane()
		lanes[lane] = append(lanes[lane], d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ordered := deliveries[:0]
	for range deliveries {
		order := c.lanes.Order()
		lane := order[0]
		if len(lanes[lane]) == 0 {
			lane = order[1]
		}
		c.lanes.Took(lane)
		ordered, lanes[lane] = append(ordered, lanes[lane][0]), lanes[lane][1:]
	}
	return ordered
}

// fetchFrom begins at most n of what a shard has. It does not end with ctx: what Redis has begun must be handed out.
func (c *Consumer) fetchFrom(ctx context.Context, s *server.Shard, b *batch, lanes string, n int) error {
	call := c.receiving(s, b, lanes, n)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), server.ReplyTimeout)
	defer cancel()
	sent := time.Now()
	answer, err := c.server.Run(ctx, s, call)
	c.server.Note(s, err)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if lanes == bothLanes {
		c.lanes = domain.LaneTurnAfter(int(answer.Number("streak")))
	}
	c.turns[s.Number] = answer.Number("turn")
	c.returned[s.Number] = answer.Number("returned") > 0
	c.mu.Unlock()
	b.endpoints[s.Number] = answer.Texts("endpoints")
	b.unfinished = b.unfinished || answer.Flag("unfinished")
	for _, row := range answer.Rows("deliveries") {
		if d, ok := c.delivery(s, sent, row); ok {
			b.add(d)
		}
	}
	return nil
}

// receiving is the script that begins what is ready.
func (c *Consumer) receiving(s *server.Shard, b *batch, lanes string, n int) script.Call {
	c.mu.Lock()
	streak, turn := c.lanes.Streak(), c.turns[s.Number]
	c.mu.Unlock()
	strict, credits := b.credits()
	return script.Receive.Call(
		"consumer", c.name,
		"nonce", newTokenPrefix(s),
		"count", n,
		"bytes", b.Left().Bytes,
		"lease", c.opts.Lease.Milliseconds(),
		"share", domain.LowLaneShare,
		"streak", streak,
		"turn", turn,
		"more", len(b.deliveries) > 0,
		"lanes", lanes,
		"strict", strict,
	).And(credits...)
}

// unbounded is the credit of an endpoint that only Count bounds.
const unbounded = -1

// credits lists endpoints and the credit of each in turn, and reports whether those that are not listed have none.
func (b *batch) credits() (strict bool, list []any) {
	left := b.Left()
	known := left.Known
	for endpoint, n := range left.Endpoints {
		if _, ok := known[endpoint]; ok || known == nil {
			list = append(list, endpoint, n)
		}
	}
	for endpoint := range known {
		if _, bounded := left.Endpoints[endpoint]; !bounded {
			list = append(list, endpoint, unbounded)
		}
	}
	return known != nil, list
}

// delivery reads what was begun. It reports false for a request that cannot be read, which ends at once.
func (c *Consumer) delivery(s *server.Shard, sent time.Time, row script.Row) (ports.Delivery, bool) {
	id, token, attempts := domain.ID(row.Text("id")), row.Text("token"), int(row.Number("attempts"))
	rec, err := codec.DecodeFacts(id, row.Bytes("facts"))
	var req domain.Request
	if err == nil {
		req, err = codec.DecodeRequest(&rec, row.Bytes("request"))
	}
	if err != nil {
		c.failUnreadable(id, token, attempts, err)
		return ports.Delivery{}, false
	}
	s.SetOurs(&req)
	return ports.Delivery{
		Request: req, Attempts: attempts, Answered: row.Number("answered") == 1,
		Deliveries: int(row.Number("deliveries")), Token: token, Lease: c.leases.add(s, id, token, sent),
	}, true
}

// add charges a delivery to the credit.
func (b *batch) add(d ports.Delivery) {
	b.deliveries = append(b.deliveries, d)
	b.Charge(d.Request.Endpoint, d.Request.Size())
}
