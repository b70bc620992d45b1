package redis

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Bounds of one Receive: while its script runs Redis does nothing else, and the answer must be here before it is too
// late.
const (
	maxDeliveries     = 64
	maxDeliveredBytes = 16 << 20
)

// What a script may take from.
const (
	bothLanes = "both"
	highLane  = "high:"
	lowLane   = "low:"
)

// haul is what one Receive takes.
type haul struct {
	left       ports.Credit
	deliveries []ports.Delivery
	endpoints  [][]string // by shard, those to wait for when there is nothing
	unfinished bool       // leases that are over were not all looked at
}

// take begins what the credit allows. Deliveries that were begun before an error are given with it.
func (c *Consumer) take(ctx context.Context, credit ports.Credit) (*haul, error) {
	h := &haul{left: credit, endpoints: make([][]string, len(c.db.shards))}
	h.left.Count, h.left.Bytes = min(credit.Count, maxDeliveries), min(credit.Bytes, maxDeliveredBytes)
	h.left.Endpoints = maps.Clone(credit.Endpoints)
	if len(c.db.shards) == 1 {
		return h, c.takeFrom(ctx, c.db.shards[0], h, bothLanes, h.left.Count)
	}
	return h, c.takeByLane(ctx, h)
}

// takeByLane takes from many shards: first what the low lane must have, then from the high lane, then whatever there
// is. A script sees its own shard alone, and the high lane of one goes before the low lane of another. A shard that
// fails keeps nobody from the others; it is an error when none answers.
func (c *Consumer) takeByLane(ctx context.Context, h *haul) error {
	var failure error
	answered := false
	shards, streak := c.round()
	share := (min(streak, domain.LowLaneShare-1) + h.left.Count) / domain.LowLaneShare
	for _, part := range []struct {
		lane  string
		count int
	}{{lowLane, share}, {highLane, h.left.Count}, {lowLane, h.left.Count}} {
		atMost := len(h.deliveries) + part.count
		for _, s := range shards {
			n := min(atMost-len(h.deliveries), h.left.Count)
			if n <= 0 || failure != nil && c.db.absence.isSilent(s) {
				continue
			}
			if err := c.takeFrom(ctx, s, h, part.lane, n); err != nil {
				failure = err
			} else {
				answered = true
			}
		}
	}
	h.deliveries = c.interleave(h.deliveries)
	if answered {
		return nil
	}
	return failure
}

// round lists the shards that answer, each time beginning with another one, and tells how long the low lane has waited.
func (c *Consumer) round() (shards []*shard, streak int) {
	shards = slices.Concat(c.db.answering()...)
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.first % len(shards)
	c.first = (first + 1) % len(shards)
	return slices.Concat(shards[first:], shards[:first]), c.streak
}

// interleave brings deliveries of both lanes into the order that they are promised in.
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
		lane := domain.LaneHigh
		if len(lanes[lane]) == 0 || c.streak+1 >= domain.LowLaneShare && len(lanes[domain.LaneLow]) > 0 {
			lane = domain.LaneLow
		}
		ordered = append(ordered, lanes[lane][0])
		lanes[lane] = lanes[lane][1:]
		if c.streak++; lane == domain.LaneLow {
			c.streak = 0
		}
	}
	return ordered
}

// takeFrom begins at most n of what a shard has. It does not end with ctx: what Redis has begun must be handed out.
func (c *Consumer) takeFrom(ctx context.Context, s *shard, h *haul, lanes string, n int) error {
	c.mu.Lock()
	streak, next := c.streak, c.turns[s.number]
	c.mu.Unlock()
	strict, named := h.credits()
	call := script.Receive.Call(
		"consumer", c.name,
		"nonce", strconv.Itoa(s.number)+tokenShard+unique(),
		"count", n,
		"bytes", h.left.Bytes,
		"lease", c.db.opts.Lease.Milliseconds(),
		"share", domain.LowLaneShare,
		"streak", streak,
		"turn", next,
		"more", len(h.deliveries) > 0,
		"lanes", lanes,
		"strict", strict,
	).And(named...)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replyTimeout)
	defer cancel()
	sent := time.Now()
	answer, err := c.db.run(ctx, s, call)
	c.db.note(s, err)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if lanes == bothLanes {
		c.streak = int(answer.Number("streak"))
	}
	c.turns[s.number] = answer.Number("turn")
	c.mu.Unlock()
	h.endpoints[s.number] = answer.Texts("endpoints")
	h.unfinished = h.unfinished || answer.Flag("unfinished")
	for _, d := range c.deliveries(s, sent, answer.Rows("deliveries")) {
		h.add(d)
	}
	return nil
}

// unbounded is the credit of an endpoint that only Count bounds.
const unbounded = -1

// credits lists endpoints and the credit of each in turn, and reports whether others have none.
func (h *haul) credits() (strict bool, named []any) {
	known := h.left.Known
	for endpoint, n := range h.left.Endpoints {
		if _, ok := known[endpoint]; ok || known == nil {
			named = append(named, endpoint, n)
		}
	}
	for endpoint := range known {
		if _, bounded := h.left.Endpoints[endpoint]; !bounded {
			named = append(named, endpoint, unbounded)
		}
	}
	return known != nil, named
}

// add charges a delivery.
func (h *haul) add(d ports.Delivery) {
	h.deliveries = append(h.deliveries, d)
	h.left.Count--
	h.left.Bytes -= d.Request.Size()
	if n, limited := h.left.Endpoints[d.Request.Endpoint]; limited {
		h.left.Endpoints[d.Request.Endpoint] = n - 1
	}
}
