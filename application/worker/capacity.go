package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// capacity is what the pool can still fetch. A slot is free again as soon as its call has ended, so that saving the
// outcome and beginning the next request reach the queue together. But nothing new is fetched while as many outcomes as
// there are slots are unsaved, so that a store which is away stops the pool.
//
// Endpoints share the bytes: one that holds as many as are free gets no more. So an endpoint that hangs holds at most
// half of them and one delivery, the next one half of the rest, and so on. When several hang, or when there is hardly
// room for one body, the rest may be too small for a large body.
type capacity struct {
	gates *Gates

	mu      sync.Mutex
	slots   int
	known   map[string]struct{} // nil: all; replaced, never changed
	running int                 // deliveries whose call has not ended
	unsaved int                 // deliveries whose outcome is not saved
	caution caution
	bytes   int64
	held    map[string]int64 // bytes by endpoint
	crowded []string         // endpoints that the last credit refused because of the bytes they hold
	renew   func()           // ends that credit, when one of them may have more
	freed   chan struct{}    // holds a value after a slot or bytes became free
}

func newCapacity(opts Options) *capacity {
	return &capacity{
		gates: opts.Gates, slots: opts.Slots, known: setOf(opts.Known), bytes: opts.MaxBytes,
		held: make(map[string]int64, len(opts.Known)), freed: make(chan struct{}, 1),
	}
}

// setOf returns nil for nil.
func setOf(names []string) map[string]struct{} {
	if names == nil {
		return nil
	}
	set := make(map[string]struct{}, len(names))
	for _, name := range names {
		set[name] = struct{}{}
	}
	return set
}

// change sets how many calls may run at once, and which endpoints can be called. What is fetched from now on heeds it.
func (c *capacity) change(slots int, known []string) {
	c.mu.Lock()
	c.slots, c.known = slots, setOf(known)
	c.mu.Unlock()
	c.gates.renewCredits()
	c.notify()
}

// shared reports whether endpoints share the bytes. The caller holds mu.
func (c *capacity) shared() bool { return len(c.known) > 1 }

// credit blocks until there is room for at least one delivery, and returns the credit with a context. That ends when
// the credit is out of date, because an endpoint that it refuses or bounds may have more. The caller calls done after
// using it. It returns false when ctx ends first.
func (c *capacity) credit(ctx context.Context) (credit ports.Credit, valid context.Context, done func(), ok bool) {
	if credit, ok = c.room(ctx); !ok {
		return credit, nil, nil, false
	}
	valid, done = c.limit(ctx, &credit)
	return credit, valid, done, true
}

// room waits for a slot and for bytes.
func (c *capacity) room(ctx context.Context) (ports.Credit, bool) {
	for ctx.Err() == nil {
		c.mu.Lock()
		credit := ports.Credit{Count: c.slots - max(c.running, c.unsaved), Bytes: c.bytes}
		credit.Count = min(credit.Count, c.caution.room(c.running+c.unsaved))
		if c.shared() && credit.Bytes > 1 {
			credit.Bytes /= 2 // one endpoint may get all of them
		}
		c.mu.Unlock()
		if credit.Count > 0 && credit.Bytes > 0 {
			return credit, true
		}
		select {
		case <-c.freed:
		case <-ctx.Done():
		}
	}
	return ports.Credit{}, false
}

// limit bounds the credit by what the gates and the shares of memory allow.
func (c *capacity) limit(ctx context.Context, credit *ports.Credit) (valid context.Context, done func()) {
	valid, cancel := context.WithCancel(ctx)
	c.gates.onChange(cancel)
	c.mu.Lock()
	credit.Known = c.known // only now, so that a change cannot be missed
	c.mu.Unlock()
	var next time.Time
	credit.Endpoints, next = c.gates.credits(credit.Count)
	c.refuseCrowded(credit, cancel)
	if next.IsZero() {
		return valid, cancel
	}
	timer := time.AfterFunc(next.Sub(c.gates.now()), cancel)
	return valid, func() {
		timer.Stop()
		cancel()
	}
}

// refuseCrowded refuses the endpoints that hold their share of the bytes. It calls renew when one of them may have
// more.
func (c *capacity) refuseCrowded(credit *ports.Credit, renew func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crowded, c.renew = c.crowded[:0], renew
	if !c.shared() {
		return
	}
	for endpoint, n := range c.held {
		if n < c.bytes {
			continue
		}
		c.crowded = append(c.crowded, endpoint)
		if credit.Endpoints == nil {
			credit.Endpoints = make(map[string]int)
		}
		credit.Endpoints[endpoint] = 0
	}
}

// charge changes the number of bytes that an endpoint holds by size. The caller holds mu.
func (c *capacity) charge(endpoint string, size int64) {
	c.bytes -= size
	if c.held[endpoint] += size; c.held[endpoint] == 0 {
		delete(c.held, endpoint)
	}
	if slices.ContainsFunc(c.crowded, func(name string) bool { return c.held[name] < c.bytes }) {
		c.crowded = c.crowded[:0]
		c.renew()
	}
}

// divide returns the deliveries that were fetched and may be called, and those that must be handed back.
func (c *capacity) divide(deliveries []ports.Delivery) (kept, excess []ports.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.caution.divide(deliveries, c.running+c.unsaved)
}

// begin charges a delivery that was fetched.
func (c *capacity) begin(d *ports.Delivery, beside company) {
	c.gates.begin(d.Request.Endpoint)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
	c.caution.held[beside]++
	c.charge(d.Request.Endpoint, d.Request.Size())
}

// end frees the slot of a delivery whose call has ended, or that is handed back without one. Its bytes stay charged
// until saved.
func (c *capacity) end(endpoint string, called bool, probe int) {
	c.gates.end(endpoint, called, probe)
	c.mu.Lock()
	c.running--
	c.unsaved++
	c.mu.Unlock()
	c.notify()
}

// saved frees the bytes of a delivery whose outcome is saved.
func (c *capacity) saved(f *finished) {
	c.mu.Lock()
	c.unsaved--
	c.caution.held[f.company]--
	c.charge(f.endpoint, -f.size)
	c.mu.Unlock()
	c.notify()
}

func (c *capacity) notify() {
	select {
	case c.freed <- struct{}{}:
	default:
	}
}
