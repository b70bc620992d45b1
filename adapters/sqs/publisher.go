package sqs

import (
	"context"
	"fmt"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

// publisher sends messages for many callers in shared requests, to a queue for each lane or to one for all. It
// implements ports.Publisher.
type publisher struct {
	link    *link
	senders []*sender // by lane, or one
	room    *carrier.Room
}

var _ ports.Publisher = (*publisher)(nil)

func newPublisher(l *link, to ...*remote) *publisher {
	p := &publisher{link: l, room: carrier.NewRoom(l.ctx)}
	for _, r := range to {
		p.senders = append(p.senders, newSender(p, r))
	}
	return p
}

// Publish sends messages and returns when all have an answer, or ctx ends.
func (p *publisher) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	c := carrier.NewCall(len(messages))
	until := p.link.opts.Now().Add(carrier.PublishPatience)
	for i := range messages {
		m := &messages[i]
		s := p.senders[min(int(m.Lane), len(p.senders)-1)]
		o := &op{call: c, index: i, body: encode(m.Value), until: until}
		if size := o.body.size(); size > s.limit() {
			c.Answer(i, p.tooLarge(size, s.limit()))
			continue
		}
		if err := p.room.Acquire(ctx, o.body.size()); err != nil {
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
	return fmt.Errorf("%w: it has %d bytes, and sqs accepts %d", ports.ErrTooLarge, size, limit)
}

// answer ends an op.
func (p *publisher) answer(o *op, err error) {
	p.room.Release(o.body.size())
	o.call.Answer(o.index, err)
}

// end lets nothing more in.
func (p *publisher) end() {
	for _, s := range p.senders {
		s.ops.end()
	}
}
