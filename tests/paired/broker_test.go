package paired_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// broker is a queue in memory that does everything that a broker may do to its users: it has messages twice, hands one
// to two consumers, takes one away from its holder, says that one is in the way, and forgets what was settled when a
// consumer dies. What happens to a message beside its first hand-out is outside of the order of the lanes.
type broker struct {
	mu      sync.Mutex
	up      bool
	lanes   [domain.LaneCount][]*message
	again   []*message // copies, and what comes back
	places  int
	changed chan struct{} // closed and made anew when there may be something for those who wait
}

type message struct {
	ports.QueueMessage

	place   string
	arrived time.Time
	twin    *message // a copy that comes when this one has been handed out
	takeOff func()   // from whom has it; nil: nobody, or it stays there
}

func newBroker() *broker { return &broker{up: true, changed: make(chan struct{})} }

// oneIn is how rare each misfortune is.
const oneIn = 8

func (b *broker) setUp(up bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up = up
	b.change()
}

// change wakes those who wait. Called with mu held.
func (b *broker) change() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// session is what one consumer or producer has with the broker. It implements ports.Queue.
type session struct {
	broker *broker
	streak int // messages of the high lane since the last one of the low lane

	// All guarded by the broker's mu.
	ended   bool
	held    map[*ticket]struct{}
	settled []*message // that a crash may bring back
}

var _ ports.Queue = (*session)(nil)

// ticket is one hand-out.
type ticket struct {
	message *message
	lose    context.CancelCauseFunc
}

// join makes a session, and what ends it.
func (b *broker) join() (ports.Queue, func()) {
	s := &session{broker: b, held: make(map[*ticket]struct{})}
	return s, s.end
}

// end is the end of the process: what it holds comes back, and half of what it settled last.
func (s *session) end() {
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	for t := range s.held {
		t.lose(ports.ErrLost)
		b.again = append(b.again, t.message)
	}
	b.again = append(b.again, s.settled[len(s.settled)/2:]...)
	b.change()
}

// Publish takes messages in, some of them twice.
func (s *session) Publish(_ context.Context, messages []ports.QueueMessage) []error {
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := make([]error, len(messages))
	for i, m := range messages {
		switch {
		case s.ended:
			errs[i] = ports.ErrClosed
			continue
		case !b.up:
			errs[i] = fmt.Errorf("%w: the broker is down", ports.ErrUnavailable)
			continue
		}
		m.Value = slices.Clone(m.Value)
		placed := b.place(m)
		if rand.IntN(oneIn) == 0 {
			placed.twin = b.place(m)
		}
		b.lanes[m.Lane] = append(b.lanes[m.Lane], placed)
	}
	b.change()
	return errs
}

// write adds a message as others do, at one place: a copy of what has no id would be another request.
func (b *broker) write(value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes[domain.LaneLow] = append(b.lanes[domain.LaneLow], b.place(ports.QueueMessage{Value: []byte(value)}))
	b.change()
}

func (b *broker) place(m ports.QueueMessage) *message {
	b.places++
	return &message{QueueMessage: m, place: fmt.Sprintf("p-%d", b.places), arrived: time.Now()}
}

// Receive hands messages out.
func (s *session) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	b := s.broker
	for {
		b.mu.Lock()
		if s.ended {
			b.mu.Unlock()
			return nil, ports.ErrClosed
		}
		var out []ports.Received
		for b.up && len(out) < count {
			m := s.next(len(out) == 0, bytes)
			if m == nil {
				break
			}
			bytes -= int64(len(m.Value))
			out = append(out, s.handOut(m))
		}
		changed := b.changed
		b.mu.Unlock()
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// next takes a message out: one that was handed out before, or the next one of the lanes.
func (s *session) next(first bool, bytes int64) *message {
	b := s.broker
	fits := func(list []*message) bool {
		return len(list) > 0 && (first || int64(len(list[0].Value)) <= bytes)
	}
	take := func(list *[]*message) *message {
		m := (*list)[0]
		*list = (*list)[1:]
		return m
	}
	if fits(b.again) {
		return take(&b.again)
	}
	lane, other := domain.LaneHigh, domain.LaneLow
	if s.streak+1 >= domain.LowLaneShare {
		lane, other = other, lane
	}
	if len(b.lanes[lane]) == 0 {
		lane = other
	}
	if !fits(b.lanes[lane]) {
		return nil
	}
	if s.streak++; lane == domain.LaneLow {
		s.streak = 0
	}
	return take(&b.lanes[lane])
}

// handOut gives a message, and perhaps something befalls it.
func (s *session) handOut(m *message) ports.Received {
	lost, lose := context.WithCancelCause(context.Background())
	crowded := make(chan struct{})
	t := &ticket{message: m, lose: lose}
	s.held[t] = struct{}{}
	if m.takeOff != nil {
		m.takeOff()
		m.takeOff = nil
	}
	if m.twin != nil {
		s.broker.again = append(s.broker.again, m.twin)
		m.twin = nil
	}
	switch rand.IntN(oneIn) {
	case 0:
		close(crowded)
	case 1: // another will get it, and this one be told
		m.takeOff = func() { lose(ports.ErrLost) }
		fallthrough
	case 2: // another will get it too, without a word
		delete(s.held, t)
		s.broker.again = append(s.broker.again, m)
	}
	return ports.Received{
		QueueMessage: m.QueueMessage, Place: m.place, Arrived: m.arrived, Ticket: t, Crowded: crowded, Lost: lost,
	}
}

// Settle lets messages go; a crash brings the last ones back.
func (s *session) Settle(tickets []ports.Ticket) {
	const remembered = 8
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, opaque := range tickets {
		t, _ := opaque.(*ticket)
		if _, ours := s.held[t]; !ours {
			continue // lost
		}
		delete(s.held, t)
		t.lose(nil)
		s.settled = append(s.settled, t.message)
		if len(s.settled) > remembered {
			s.settled = s.settled[1:]
		}
	}
}
