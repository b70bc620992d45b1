package paired

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/ports"
)

// arrival is a message that the queue has handed out.
type arrival struct {
	ports.Arrival

	received ports.Received // without its value once it is begun: the request has all that is needed of it
	fault    error          // why the value cannot be read
	settled  bool           // guarded by Work
}

// add reads messages that the queue has handed out, and lets them wait.
func (w *Work) add(received []ports.Received) {
	all := make([]*arrival, len(received))
	for i := range received {
		m, err := w.reader.ReadCarried(&received[i])
		all[i] = &arrival{
			Arrival:  ports.Arrival{Request: m.Request, Attempts: m.RetryCount, Try: rand.Text()},
			received: received[i], fault: err,
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, all...)
}

// lost reports whether the queue may hand the message to another holder.
func (a *arrival) lost() bool { return a.received.Lost != nil && a.received.Lost.Err() != nil }

// crowded reports whether the message holds up others.
func (a *arrival) crowded() bool {
	select {
	case <-a.received.Crowded:
		return true
	default: // also for a queue that never says so
		return false
	}
}

// takeWaiting returns everything that waits, which then waits no more.
func (w *Work) takeWaiting() []*arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.waiting
	w.waiting = nil
	return all
}

// putBack lets arrivals wait, before those that came later.
func (w *Work) putBack(arrivals []*arrival) {
	if len(arrivals) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(arrivals, w.waiting...)
}

// settle settles messages, each once.
func (w *Work) settle(arrivals []*arrival) {
	var tickets []ports.Ticket
	w.mu.Lock()
	for _, a := range arrivals {
		if !a.settled {
			a.settled = true
			tickets = append(tickets, a.received.Ticket)
		}
	}
	w.mu.Unlock()
	if len(tickets) > 0 {
		w.queue.Settle(tickets)
	}
}

// keep saves whole requests in the store and settles their messages. It returns those that are not confirmed.
func (w *Work) keep(ctx context.Context, arrivals []*arrival) (unkept []*arrival, failure error) {
	if len(arrivals) == 0 {
		return nil, nil
	}
	var kept []*arrival
	for i, err := range w.store.Keep(ctx, portsOf(arrivals)) {
		if errors.Is(err, ports.ErrIDUsed) {
			err = w.store.Reject(ctx, exchange.IDUsed(&arrivals[i].received, arrivals[i].Request))
		}
		if err == nil {
			kept = append(kept, arrivals[i])
			continue
		}
		unkept, failure = append(unkept, arrivals[i]), err
	}
	w.settle(kept)
	return unkept, failure
}

func portsOf(arrivals []*arrival) []ports.Arrival {
	all := make([]ports.Arrival, len(arrivals))
	for i, a := range arrivals {
		all[i] = a.Arrival
	}
	return all
}
