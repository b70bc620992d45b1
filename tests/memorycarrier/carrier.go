package memorycarrier

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// HighSuffix makes the name of the high lane's queue.
const HighSuffix = ".high"

// Carrier is one process at a broker. It implements ports.Carrier.
type Carrier struct {
	broker   *Broker
	requests publisher
	receiver *receiver

	// Guarded by the mutex of the broker.
	inlets []*receiver
	closed bool
}

var _ ports.Carrier = (*Carrier)(nil)

// Join makes a carrier whose low lane is the queue of that name.
func (b *Broker) Join(queue string) *Carrier {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lanes [domain.LaneCount]*topic
	lanes[domain.LaneLow], lanes[domain.LaneHigh] = b.topic(queue), b.topic(queue+HighSuffix)
	c := &Carrier{broker: b, receiver: newReceiver(b, lanes[:]...)}
	c.requests = publisher{carrier: c, lanes: lanes}
	return c
}

// Publish is described by ports.Publisher. While the broker is away it fails at once.
func (c *Carrier) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	return c.requests.Publish(ctx, messages)
}

// Receive is described by ports.Receiver. What is handed out again goes first, outside the order of the lanes.
func (c *Carrier) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	return c.receiver.Receive(ctx, count, bytes)
}

// Settle is described by ports.Receiver.
func (c *Carrier) Settle(tickets []ports.Ticket) { c.receiver.Settle(tickets) }

// Lag counts the messages that nobody has settled. Copies do not count.
func (c *Carrier) Lag(context.Context) (ports.Lag, error) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	if err := c.usable(); err != nil {
		return ports.Lag{}, err
	}
	var lag ports.Lag
	for _, t := range c.requests.lanes {
		lag.Messages += int64(len(t.unsettled))
		for m := range t.unsettled {
			if lag.Oldest.IsZero() || m.arrived.Before(lag.Oldest) {
				lag.Oldest = m.arrived
			}
		}
	}
	return lag, nil
}

// Mark is described by ports.Marking.
func (c *Carrier) Mark(context.Context) (ports.Mark, error) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	if err := c.usable(); err != nil {
		return nil, err
	}
	m := &mark{carrier: c}
	for _, t := range c.requests.lanes {
		m.messages = slices.AppendSeq(m.messages, maps.Keys(t.unsettled))
	}
	return m, nil
}

// mark is the messages that nobody had settled.
type mark struct {
	carrier  *Carrier
	messages []*message
}

// Passed is described by ports.Mark.
func (m *mark) Passed(context.Context) (bool, error) {
	m.carrier.broker.mu.Lock()
	defer m.carrier.broker.mu.Unlock()
	if err := m.carrier.usable(); err != nil {
		return false, err
	}
	return !slices.ContainsFunc(m.messages, (*message).unsettled), nil
}

// usable returns an error when the carrier is closed or its broker is away. Called with the broker's mutex held.
func (c *Carrier) usable() error {
	if c.closed {
		return ports.ErrClosed
	}
	return c.broker.reachable()
}

// Probe is described by ports.Carrier.
func (c *Carrier) Probe(context.Context) error {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	return c.usable()
}

// Leave is described by ports.Leaver. It does not block.
func (c *Carrier) Leave() {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	c.receiver.leave()
}

// Close is described by ports.Carrier. It does not block.
func (c *Carrier) Close() error {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	c.end()
	return nil
}

// Crash ends the process without a word: other processes get what it holds, and with Mishaps.ForgetsSettled some of
// what it settled last.
func (c *Carrier) Crash() {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	if c.broker.opts.Mishaps.ForgetsSettled && !c.closed {
		for _, r := range append(c.inlets, c.receiver) {
			r.unsettle()
		}
	}
	c.end()
}

// end ends the carrier, once. Called with the broker's mutex held.
func (c *Carrier) end() {
	c.closed = true
	for _, r := range append(c.inlets, c.receiver) {
		r.leave()
	}
}

var errNoName = errors.New("the name of a queue must not be empty")

// Outlet is described by ports.Exchanger.
func (c *Carrier) Outlet(_ context.Context, name string) (ports.Publisher, error) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	t, err := c.exchange(name)
	if err != nil {
		return nil, err
	}
	return publisher{carrier: c, lanes: [domain.LaneCount]*topic{t, t}}, nil
}

// Inlet is described by ports.Exchanger.
func (c *Carrier) Inlet(_ context.Context, name string) (ports.Receiver, error) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	t, err := c.exchange(name)
	if err != nil {
		return nil, err
	}
	r := newReceiver(c.broker, t)
	c.inlets = append(c.inlets, r)
	return r, nil
}

// exchange finds a topic that other programs use. Called with the broker's mutex held.
func (c *Carrier) exchange(name string) (*topic, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, errNoName
	}
	return c.broker.topic(name), nil
}

// publisher publishes to a topic for each lane.
type publisher struct {
	carrier *Carrier
	lanes   [domain.LaneCount]*topic
}

// Publish adds messages, some of them twice if the broker does that.
func (p publisher) Publish(_ context.Context, messages []ports.QueueMessage) []error {
	b := p.carrier.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := make([]error, len(messages))
	for i, m := range messages {
		if errs[i] = p.carrier.usable(); errs[i] == nil {
			errs[i] = b.add(p.lanes[m.Lane], m)
		}
	}
	b.wake()
	return errs
}
