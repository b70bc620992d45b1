package paired

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/ports"
)

// DrainStore is the store beside the carrier that is drained.
type DrainStore interface {
	ports.Store
	ports.Losses
	ports.Gauge
}

// DrainOptions say how a carrier is drained.
type DrainOptions struct {
	Reader   *exchange.Reader // of messages, also of foreign ones
	Losses   LossOptions      // how to find what the carrier has lost
	Progress func(kept int)   // called every few seconds with how many messages were saved; must not block for long
}

// Drain brings everything that a carrier has into the store beside it, for a queue that the carrier is not to carry any
// more. Nothing else uses either meanwhile. A message is settled when all of its request is durable in the store, so it
// may be cut off and run again.
type Drain struct {
	carrier ports.Carrier
	store   DrainStore
	opts    DrainOptions
	losses  *Losses
	kept    int
}

// NewDrain returns a Drain of a carrier and the store beside it.
func NewDrain(carrier ports.Carrier, store DrainStore, opts DrainOptions) *Drain {
	return &Drain{carrier: carrier, store: store, opts: opts, losses: NewLosses(carrier, store, opts.Losses)}
}

// drainWait is how long the carrier may have nothing before it is asked whether it has anything left.
const drainWait = 2 * time.Second

// Run blocks until the carrier has no message left and every unfinished request is in the store, or has ended because
// the carrier had lost it. Errors match ErrUnavailable or ErrClosed, or are the cause of ctx.
func (d *Drain) Run(ctx context.Context) error {
	mark, err := d.carrier.Mark(ctx)
	if err != nil {
		return err
	}
	for {
		n, err := d.keepSome(ctx)
		if err != nil {
			return err
		}
		d.opts.Progress(d.kept)
		if n > 0 {
			continue
		}
		d.losses.look(ctx)
		if empty, err := d.empty(ctx, mark); empty || err != nil {
			return err
		}
	}
}

// empty reports whether nothing is left.
func (d *Drain) empty(ctx context.Context, mark ports.Mark) (bool, error) {
	passed, err := mark.Passed(ctx)
	if err != nil || !passed {
		return false, err
	}
	depths, err := d.store.Depths(ctx)
	return depths.Carried == 0, err
}

// Bounds of what is in memory at once.
const drainBytes = 16 << 20

// keepSome saves what the carrier hands out, and returns how many messages that were.
func (d *Drain) keepSome(ctx context.Context) (int, error) {
	brief, cancel := context.WithTimeout(ctx, drainWait)
	defer cancel()
	received, err := d.carrier.Receive(brief, maxBatch, drainBytes)
	switch {
	case len(received) > 0:
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case brief.Err() != nil:
		return 0, nil
	default:
		return 0, err
	}
	var arrivals []ports.Arrival
	var places []int // of arrivals, in received
	tickets := make([]ports.Ticket, len(received))
	for i := range received {
		tickets[i] = received[i].Ticket
		m, err := d.opts.Reader.ReadCarried(&received[i])
		if err == nil {
			arrivals = append(arrivals, ports.Arrival{Request: m.Request, Attempts: m.RetryCount, Try: rand.Text()})
			places = append(places, i)
		} else if err := d.store.Reject(ctx, exchange.Rejected(&received[i], m.Request, err)); err != nil {
			return 0, err
		}
	}
	if len(arrivals) > 0 {
		for i, err := range d.store.Keep(ctx, arrivals) {
			if errors.Is(err, ports.ErrIDUsed) {
				err = d.store.Reject(ctx, exchange.IDUsed(&received[places[i]], arrivals[i].Request))
			}
			if err != nil {
				return 0, err // what is kept already is recognized when it is handed out again
			}
		}
	}
	d.carrier.Settle(tickets)
	d.kept += len(received)
	return len(received), nil
}
