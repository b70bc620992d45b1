package memorycarrier

import (
	"context"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// receiver receives from a topic for each lane, or from one. From turn on, all of it is guarded by the mutex of the
// broker.
type receiver struct {
	broker *Broker
	topics []*topic // by lane

	turn    domain.LaneTurn
	left    bool
	held    map[*ticket]struct{}
	settled []*message // the last ones
}

var _ ports.Receiver = (*receiver)(nil)

// ticket is one hand-out.
type ticket struct {
	receiver *receiver
	message  *message
	lose     context.CancelCauseFunc
}

func newReceiver(b *Broker, topics ...*topic) *receiver {
	return &receiver{broker: b, topics: topics, held: make(map[*ticket]struct{})}
}

// Receive is described by ports.Receiver.
func (r *receiver) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	for {
		received, changed, err := r.next(ctx, count, bytes)
		if len(received) > 0 || err != nil {
			return received, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// next hands out what is there. Without any it returns what tells when to look again.
func (r *receiver) next(
	ctx context.Context, count int, bytes int64,
) (received []ports.Received, changed <-chan struct{}, err error) {
	b := r.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.left:
		return nil, nil, ports.ErrClosed
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	}
	for !b.away && len(received) < count {
		m := r.pop(len(received) == 0, bytes)
		if m == nil {
			break
		}
		bytes -= int64(len(m.Value))
		received = append(received, r.handOut(m))
	}
	return received, b.changed, nil
}

// pop removes the message whose turn it is from its topic; nil: none fits.
func (r *receiver) pop(first bool, bytes int64) *message {
	fits := func(list []*message) bool { return first || int64(len(list[0].Value)) <= bytes }
	for _, t := range r.topics {
		if len(t.again) > 0 && fits(t.again) {
			return popFirst(&t.again)
		}
	}
	for _, lane := range r.turn.Order() {
		if int(lane) >= len(r.topics) || len(r.topics[lane].waiting) == 0 {
			continue
		}
		if !fits(r.topics[lane].waiting) {
			return nil
		}
		r.turn.Took(lane)
		return popFirst(&r.topics[lane].waiting)
	}
	return nil
}

func popFirst(list *[]*message) *message {
	m := (*list)[0]
	*list = (*list)[1:]
	return m
}

// handOut hands a message to this receiver, and perhaps to another one after it.
func (r *receiver) handOut(m *message) ports.Received {
	lost, lose := context.WithCancelCause(context.Background())
	crowded := make(chan struct{})
	t := &ticket{receiver: r, message: m, lose: lose}
	r.held[t] = struct{}{}
	if m.retract != nil {
		m.retract()
		m.retract = nil
	}
	if m.twin != nil {
		m.topic.again = append(m.topic.again, m.twin)
		m.twin = nil
	}
	mishaps := &r.broker.opts.Mishaps
	switch {
	case strikes(mishaps.Crowded):
		close(crowded)
	case strikes(mishaps.Lost):
		m.retract = func() { lose(ports.ErrLost) }
		r.giveAway(t)
	case strikes(mishaps.Shared):
		r.giveAway(t)
	}
	return ports.Received{
		QueueMessage: m.QueueMessage, Place: m.place, Arrived: m.arrived, Ticket: t, Crowded: crowded, Lost: lost,
	}
}

// giveAway lets another holder have a message.
func (r *receiver) giveAway(t *ticket) {
	delete(r.held, t)
	t.message.topic.again = append(t.message.topic.again, t.message)
	r.broker.wake()
}

// Settle is described by ports.Receiver.
func (r *receiver) Settle(tickets []ports.Ticket) {
	const remembered = 8
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	for _, opaque := range tickets {
		t, ok := opaque.(*ticket)
		if !ok || t.receiver != r || r.left {
			continue
		}
		delete(t.message.topic.unsettled, t.message.first) // the request is done, whoever has its message by now
		if _, ours := r.held[t]; !ours {
			continue
		}
		delete(r.held, t)
		r.settled = append(r.settled, t.message)
		if len(r.settled) > remembered {
			r.settled = r.settled[1:]
		}
	}
}

// leave hands back what is held, once. Called with the broker's mutex held.
func (r *receiver) leave() {
	if r.left {
		return
	}
	r.left = true
	for t := range r.held {
		t.lose(ports.ErrLost)
		t.message.topic.again = append(t.message.topic.again, t.message)
	}
	r.held = nil
	r.broker.wake()
}

// unsettle forgets that half of what was settled last was. Called with the broker's mutex held.
func (r *receiver) unsettle() {
	for _, m := range r.settled[len(r.settled)/2:] {
		m.topic.again = append(m.topic.again, m)
	}
	r.settled = nil
}
