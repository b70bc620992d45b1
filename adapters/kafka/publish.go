package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

// producer sends messages for many callers in shared requests, with one sender for each broker.
type producer struct {
	q    *Queue
	room *carrier.Room

	mu      sync.Mutex
	senders map[int32]*sender
	again   []*op // to be sent again, or that nobody leads
	known   *layout
	closed  bool // nobody reads again any more

	wake carrier.WakeUp // there may be something in again
}

// op is one message on its way.
type op struct {
	call      *carrier.Call
	index     int // in the call
	topic     string
	partition int32
	key       []byte
	value     []byte
	until     time.Time // when it is not sent again any more
	alone     bool      // a batch it was in was too large
	err       error     // what it got last
}

// size is what the op takes up in a batch at most, and in memory.
func (o *op) size() int { return len(o.key) + len(o.value) + batchOverhead }

func newProducer(q *Queue) *producer {
	return &producer{
		q: q, room: carrier.NewRoom(q.ctx), senders: make(map[int32]*sender), wake: carrier.NewWakeUp(),
	}
}

// publish sends messages to the topics of their lanes, and returns when all have an answer, or ctx ends.
func (p *producer) publish(ctx context.Context, topics lanes, messages []ports.QueueMessage) []error {
	c := carrier.NewCall(len(messages))
	until := p.q.opts.Now().Add(carrier.PublishPatience)
	for i := range messages {
		m := &messages[i]
		switch {
		case len(m.Value) > p.q.opts.MaxMessage || len(m.ID) > maxKey:
			c.Answer(i, fmt.Errorf("%w: it has %d bytes, and kafka accepts %d",
				ports.ErrTooLarge, len(m.Value), p.q.opts.MaxMessage))
		default:
			p.accept(ctx, &op{
				call: c, index: i, topic: topics[m.Lane], key: []byte(m.ID), value: m.Value, until: until,
			})
		}
	}
	return c.Wait(ctx)
}

// accept waits for room and returns the op on.
func (p *producer) accept(ctx context.Context, o *op) {
	if err := p.room.Acquire(ctx, o.size()); err != nil {
		o.call.Answer(o.index, err)
		return
	}
	p.route(o)
}

// answer ends an op.
func (p *producer) answer(o *op, err error) {
	p.room.Release(o.size())
	o.call.Answer(o.index, err)
}

// route returns an op to the sender of the broker that leads its partition.
func (p *producer) route(o *op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch leader := p.leader(o); {
	case p.closed:
		p.answer(o, ports.ErrClosed)
	case leader == nobody:
		p.again = append(p.again, o)
		p.wake.Signal()
	default:
		p.sender(leader).put(o)
	}
}

// leader chooses the partition of an op and returns the broker that leads it, or nobody. Called with mu held.
func (p *producer) leader(o *op) int32 {
	if p.known == nil {
		return nobody
	}
	n := p.known.partitions(o.topic)
	if n == 0 {
		return nobody
	}
	o.partition = partitionOf(o.key, n)
	return p.known.leader(o.topic, o.partition)
}

// led reports whether the partition of an op has a leader.
func (p *producer) led(o *op) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leader(o) != nobody
}

// sender returns the sender to a broker. There is one from the first message for it on.
func (p *producer) sender(broker int32) *sender {
	s := p.senders[broker]
	if s == nil {
		s = newSender(p, broker)
		p.senders[broker] = s
		p.q.loops.Go(s.run)
	}
	return s
}

// partitionOf chooses a partition for a key.
func partitionOf(key []byte, partitions int) int32 {
	h := fnv.New32a()
	_, _ = h.Write(key) // it never fails
	return int32(h.Sum32() % uint32(partitions))
}

// retry sends an op again after a pause, unless that is in vain.
func (p *producer) retry(o *op, err error) {
	o.err = err
	if hopeless(err) {
		p.answer(o, translate(err))
		return
	}
	defer p.wake.Signal() // also when this one is given up: others follow
	if !p.q.opts.Now().Before(o.until) || p.q.outage.Lasts(carrier.PublishPatience) {
		p.answer(o, translate(err))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.answer(o, ports.ErrClosed)
		return
	}
	p.again = append(p.again, o)
}

// repeat learns the layout of the cluster, at the start and whenever something went wrong, until that succeeds, and
// sends what waits for that.
func (p *producer) repeat() {
	pause := carrier.NewBackoff()
	ticker := time.NewTicker(metadataAge)
	defer ticker.Stop()
	for p.q.ctx.Err() == nil {
		missing, err := p.learn()
		if failure := cmp.Or(err, missing); failure == nil {
			pause.Reset()
		} else {
			p.q.report(p.q.ctx, translate(failure))
			p.wake.Signal()
		}
		for _, o := range p.takeAgain() {
			if err == nil && missing != nil && !p.led(o) {
				p.resend(o, missing)
				continue
			}
			p.resend(o, err)
		}
		select {
		case <-p.wake:
			// Others that were in the same request come too, and an election takes a moment.
			pause.Wait(p.q.ctx)
			p.q.cluster.forget()
		case <-ticker.C:
		case <-p.q.ctx.Done():
		}
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, o := range p.takeAgain() {
		p.answer(o, ports.ErrClosed)
	}
}

// learn reads the layout of the cluster, and makes topics that are missing. One that cannot be made does not stop
// the rest, and is checked again in case an operator makes it.
func (p *producer) learn() (missing, err error) {
	known, err := p.q.cluster.layout(p.q.ctx)
	if err != nil {
		return nil, err
	}
	isMissing := func(t topic) bool { return topicMissing(known.missing(t.name)) }
	if slices.ContainsFunc(p.q.cluster.all(), isMissing) || p.q.repairError() != nil {
		missing = p.q.repair(p.q.ctx)
		if known, err = p.q.cluster.layout(p.q.ctx); err != nil {
			return missing, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = known
	return missing, nil
}

func (p *producer) takeAgain() []*op {
	p.mu.Lock()
	defer p.mu.Unlock()
	ops := p.again
	p.again = nil
	return ops
}

// resend routes an op once more, or ends it. The error is that of learning the layout.
func (p *producer) resend(o *op, err error) {
	if o.err == nil {
		o.err = kafka.LeaderNotAvailable
	}
	if err != nil {
		o.err = errors.Join(err, o.err)
	}
	switch {
	case o.call.Over():
		p.answer(o, nil) // nobody hears it
	case !p.q.opts.Now().Before(o.until), err != nil && p.q.outage.Lasts(carrier.PublishPatience):
		p.answer(o, translate(o.err))
	default:
		p.route(o)
	}
}
