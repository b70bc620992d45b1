package sqs

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/openhqm/openhqm/adapters/batchcall"
	"github.com/openhqm/openhqm/ports"
)

const (
	// publishPatience is how long a message is sent again.
	publishPatience = 10 * time.Second
	// maxWaiting bounds the bodies, in bytes, that wait to be sent or are under way. Further callers wait before that.
	maxWaiting = 64 << 20
)

// publisher sends messages for many callers in shared requests, to a queue for each lane or to one for all. It
// implements ports.Publisher.
type publisher struct {
	link    *link
	senders []*sender           // by lane, or one
	room    *semaphore.Weighted // bytes
}

var _ ports.Publisher = (*publisher)(nil)

func newPublisher(l *link, to ...*remote) *publisher {
	p := &publisher{link: l, room: semaphore.NewWeighted(maxWaiting)}
	for _, r := range to {
		p.senders = append(p.senders, newSender(p, r))
	}
	return p
}

// Publish sends messages and returns when all have an answer, or ctx ends.
func (p *publisher) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	c := batchcall.NewCall(len(messages))
	until := p.link.opts.Now().Add(publishPatience)
	for i := range messages {
		m := &messages[i]
		s := p.senders[min(int(m.Lane), len(p.senders)-1)]
		o := &op{call: c, index: i, body: encode(m.Value), until: until}
		if size := o.body.size(); size > s.limit() {
			c.Answer(i, p.tooLarge(size, s.limit()))
			continue
		}
		if err := p.await(ctx, o); err != nil {
			c.Answer(i, err)
			continue
		}
		if !s.ops.put(o) {
			p.answer(o, ports.ErrClosed)
		}
	}
	return c.Wait(ctx)
}

func (p *publisher) tooLarge(size, limit int) error {
	return fmt.Errorf("%w: it has %d bytes, and sqs takes %d", ports.ErrTooLarge, size, limit)
}

// await blocks until there is room for the op, ctx ends or the queue is closed.
func (p *publisher) await(ctx context.Context, o *op) error {
	if p.link.ctx.Err() != nil {
		return ports.ErrClosed
	}
	if p.room.TryAcquire(weight(o)) {
		return nil
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.link.ctx, cancel)()
	switch err := p.room.Acquire(waiting, weight(o)); {
	case err == nil:
		return nil
	case p.link.ctx.Err() != nil:
		return ports.ErrClosed
	default:
		return batchcall.Unconfirmed(ctx)
	}
}

func weight(o *op) int64 { return int64(o.body.size()) }

// answer ends an op.
func (p *publisher) answer(o *op, err error) {
	p.room.Release(weight(o))
	o.call.Answer(o.index, err)
}

// end lets nothing more in.
func (p *publisher) end() {
	for _, s := range p.senders {
		s.ops.end()
	}
}
