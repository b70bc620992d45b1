package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// account knows how much the pool may still take. A slot is free again as soon as its call has ended, so that saving
// the outcome and beginning the next request go to the queue together; but nothing new is fetched while as many
// outcomes as there are slots wait to be saved, so that a store which is away stops the pool.
//
// Endpoints share the bytes: one that holds as many as are free gets nothing more. So one that hangs holds half of them
// at most and a delivery, the next one half of what is left, and so on. When several hang, or when there is hardly room
// for one body, what is left for those that work may be less than a large body.
type account struct {
	gates *Gates
	known map[string]struct{} // nil: all

	mu      sync.Mutex
	slots   int
	running int // deliveries whose call has not ended
	unsaved int // deliveries whose outcome is not saved
	bytes   int64
	held    map[string]int64 // bytes by endpoint; nil where one endpoint has all to itself
	crowded []string         // endpoints that the last credit refused because of what they hold
	ease    func()           // ends that credit when one of them may have more
	change  chan struct{}    // a token here: something was given back
}

func newAccount(opts Options) *account {
	a := &account{gates: opts.Gates, slots: opts.Slots, bytes: opts.MaxBytes, change: make(chan struct{}, 1)}
	if opts.Known != nil {
		a.known = make(map[string]struct{}, len(opts.Known))
		for _, name := range opts.Known {
			a.known[name] = struct{}{}
		}
	}
	if len(a.known) > 1 {
		a.held = make(map[string]int64, len(a.known))
	}
	return a
}

// credit blocks until there is room for one delivery at least; false when ctx ends first. The credit is good for as
// long as the context lasts that comes with it: that ends when an endpoint which it holds back may have more.
func (a *account) credit(ctx context.Context) (c ports.Credit, good context.Context, done func(), ok bool) {
	if c, ok = a.room(ctx); !ok {
		return c, nil, nil, false
	}
	good, done = a.limit(ctx, &c)
	return c, good, done, true
}

// room waits for a slot and for bytes.
func (a *account) room(ctx context.Context) (ports.Credit, bool) {
	for ctx.Err() == nil {
		a.mu.Lock()
		c := ports.Credit{Count: a.slots - max(a.running, a.unsaved), Bytes: a.bytes, Known: a.known}
		if a.held != nil && c.Bytes > 1 {
			c.Bytes /= 2 // whoever gets them all
		}
		a.mu.Unlock()
		if c.Count > 0 && c.Bytes > 0 {
			return c, true
		}
		select {
		case <-a.change:
		case <-ctx.Done():
		}
	}
	return ports.Credit{}, false
}

// limit puts what the gates and the shares allow into the credit.
func (a *account) limit(ctx context.Context, c *ports.Credit) (good context.Context, done func()) {
	good, cancel := context.WithCancel(ctx)
	a.gates.onChange(cancel)
	var next time.Time
	c.Endpoints, next = a.gates.credits(c.Count)
	a.refuseCrowded(c, cancel)
	if next.IsZero() {
		return good, cancel
	}
	timer := time.AfterFunc(next.Sub(a.gates.now()), cancel)
	return good, func() {
		timer.Stop()
		cancel()
	}
}

// refuseCrowded takes the endpoints out of the credit that hold their share of the bytes, until ease is called.
func (a *account) refuseCrowded(c *ports.Credit, ease func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.crowded, a.ease = a.crowded[:0], ease
	for endpoint, n := range a.held {
		if n < a.bytes {
			continue
		}
		a.crowded = append(a.crowded, endpoint)
		if c.Endpoints == nil {
			c.Endpoints = make(map[string]int)
		}
		c.Endpoints[endpoint] = 0
	}
}

// charge notes that an endpoint holds so many more bytes, or fewer. Called with mu held.
func (a *account) charge(endpoint string, size int64) {
	a.bytes -= size
	if a.held == nil {
		return
	}
	if a.held[endpoint] += size; a.held[endpoint] == 0 {
		delete(a.held, endpoint)
	}
	if slices.ContainsFunc(a.crowded, func(name string) bool { return a.held[name] < a.bytes }) {
		a.crowded = a.crowded[:0]
		a.ease()
	}
}

// begin takes a delivery on.
func (a *account) begin(d *ports.Delivery) {
	a.gates.begin(d.Request.Endpoint)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running++
	a.charge(d.Request.Endpoint, d.Request.Size())
}

// end frees the slot of a delivery of that endpoint.
func (a *account) end(endpoint string) {
	a.gates.end(endpoint)
	a.mu.Lock()
	a.running--
	a.unsaved++
	a.mu.Unlock()
	a.changed()
}

// settle lets go of a delivery of that endpoint and size.
func (a *account) settle(endpoint string, size int64) {
	a.mu.Lock()
	a.unsaved--
	a.charge(endpoint, -size)
	a.mu.Unlock()
	a.changed()
}

func (a *account) changed() {
	select {
	case a.change <- struct{}{}:
	default:
	}
}
