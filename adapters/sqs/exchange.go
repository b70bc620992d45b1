package sqs

import (
	"context"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

// Outlet returns a publisher to a queue that other programs read. It is found or made as the lanes are, with the same
// errors, and has no lanes of its own. It ends with Close.
func (q *Queue) Outlet(ctx context.Context, name string) (ports.Publisher, error) {
	to, err := q.openOther(ctx, name)
	if err != nil {
		return nil, err
	}
	p := newPublisher(q.link, to)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.link.ctx.Err() != nil {
		return nil, ports.ErrClosed
	}
	q.outlets = append(q.outlets, p)
	return p, nil
}

// Inlet returns a receiver of a queue that other programs write. It is found or made as the lanes are, with the same
// errors, and has no lanes of its own. It ends with Close, which hands back what is not settled.
func (q *Queue) Inlet(ctx context.Context, name string) (ports.Receiver, error) {
	from, err := q.openOther(ctx, name)
	if err != nil {
		return nil, err
	}
	r := newReceiver(q.link, from)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.link.ctx.Err() != nil {
		return nil, ports.ErrClosed
	}
	q.inlets = append(q.inlets, r)
	return r, nil
}

// openOther opens a queue beside the lanes.
func (q *Queue) openOther(ctx context.Context, name string) (*remote, error) {
	if q.link.ctx.Err() != nil {
		return nil, ports.ErrClosed
	}
	opening, cancel := context.WithTimeout(ctx, carrier.OpenTimeout)
	defer cancel()
	return q.link.open(opening, name)
}
