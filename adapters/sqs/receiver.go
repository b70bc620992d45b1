package sqs

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// receiver receives from a queue for each lane, or from one. It implements ports.Receiver.
type receiver struct {
	link       *link
	visibility time.Duration
	longPoll   time.Duration
	lifetime   time.Duration // of one hand-out, however often it is extended
	begin      sync.Once     // of the keeper's loops

	ctx     context.Context // ends when leave begins
	cancel  context.CancelFunc
	polls   context.Context // of all polls; ends a moment later
	cut     context.CancelFunc
	polling sync.WaitGroup
	keeping context.Context // ends when everything is handed back
	let     context.CancelFunc
	keepers sync.WaitGroup
	leaving sync.Once

	bell chan struct{} // rung when there may be something to receive

	mu      sync.Mutex
	sources []*source           // by lane
	held    map[string]*message // all that we have, by place
	waiting int                 // Receives that wait
	want    int                 // how much the last Receive asked for
	asked   time.Time           // when that was
	streak  int                 // messages from the high lane since the last one from the low lane
	polled  time.Time           // when the last poll began
}

var _ ports.Receiver = (*receiver)(nil)

func newReceiver(l *link, from ...*remote) *receiver {
	r := &receiver{
		link: l, visibility: l.opts.Visibility,
		longPoll: cmp.Or(l.opts.longPoll, usualLongPoll), lifetime: cmp.Or(l.opts.lifetime, maxVisibility),
		bell: make(chan struct{}, 1), held: make(map[string]*message),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.polls, r.cut = context.WithCancel(context.Background())
	r.keeping, r.let = context.WithCancel(context.Background())
	for lane, queue := range from {
		s := &source{r: r, from: queue, lane: domain.Lane(lane), flows: true, allowed: 1, pause: newBackoff()}
		s.redelete.backoff = newBackoff()
		s.deletes.loops, s.deletes.fit, s.deletes.send = &l.loops, fitMessages, s.delete
		r.sources = append(r.sources, s)
	}
	return r
}

// Receive hands out what was read ahead. Polls go on after ctx has ended: what they bring waits for the next call.
func (r *receiver) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	r.begin.Do(r.startKeeping)
	r.enter(1)
	defer r.enter(-1)
	for {
		switch {
		case r.ctx.Err() != nil:
			return nil, ports.ErrClosed
		case ctx.Err() != nil:
			ring(r.bell) // it may have been meant for another
			return nil, context.Cause(ctx)
		}
		if taken := r.take(count, bytes); len(taken) > 0 {
			return taken, nil
		}
		select {
		case <-r.bell:
		case <-ctx.Done():
		case <-r.ctx.Done():
		}
	}
}

func (r *receiver) enter(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting += n
}

// take hands out what was read ahead, and sees to it that there is more.
func (r *receiver) take(count int, bytes int64) []ports.Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.link.opts.Now()
	r.want, r.asked = min(max(count, 1), maxAhead), now
	var taken []ports.Received
	var total int64
	for len(taken) < count {
		s := r.choose(now)
		if s == nil {
			break
		}
		if total += int64(len(s.shelf[0].value)); len(taken) > 0 && total > bytes {
			break
		}
		taken = append(taken, s.handOut())
		r.count(s.lane)
	}
	r.fill()
	if r.choose(now) != nil {
		ring(r.bell) // for the next
	}
	return taken
}

// choose gives the source whose message is next; nil: there is none, or it is soon known whether there is one that goes
// first.
func (r *receiver) choose(now time.Time) *source {
	order := r.sources // the high lane is the first
	if r.streak >= domain.LowLaneShare-1 {
		order = reversed(order)
	}
	for _, s := range order {
		if s.next(now) != nil {
			return s
		}
		if s.flows && s.polls == 0 && r.ctx.Err() == nil {
			s.begin()
		}
		if s.probing > 0 {
			return nil
		}
	}
	return nil
}

// reversed gives the low lane first.
func reversed(sources []*source) []*source {
	if len(sources) < domain.LaneCount {
		return sources
	}
	return []*source{sources[domain.LaneLow], sources[domain.LaneHigh]}
}

func (r *receiver) count(lane domain.Lane) {
	if lane == domain.LaneLow {
		r.streak = 0
		return
	}
	r.streak++
}

// fill begins as many polls as are of use. Called with mu held.
func (r *receiver) fill() {
	if r.ctx.Err() != nil {
		return
	}
	for _, s := range r.sources {
		for s.wanting() {
			s.begin()
		}
	}
}

// ring wakes the loop that listens to a bell, which has room for one ring.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// drop lets go of a message that is not ours any more. Called with mu held.
func (r *receiver) drop(m *message) {
	if m.gone {
		return
	}
	m.gone = true
	if r.held[m.place] == m {
		delete(r.held, m.place)
	}
	m.lose(ports.ErrLost)
}

const (
	// pollGrace is how long leaving waits for polls beyond their own time. To cut one off does not end it at SQS, which
	// goes on to hand out messages to it, and those come to nobody else before their visibility ends.
	pollGrace = time.Second
	// leavePatience is how long leaving may take to delete what is settled, and again to hand back the rest.
	leavePatience = 2 * time.Second
)

// leave deletes what is settled and hands back the rest at once, and later what polls bring that are still under way.
func (r *receiver) leave() {
	r.leaving.Do(func() {
		r.cancel()
		r.mu.Lock()
		grace := r.polled.Add(r.longPoll + pollGrace).Sub(r.link.opts.Now())
		r.mu.Unlock()
		deleting, cancel := context.WithTimeout(r.keeping, leavePatience)
		defer cancel()
		for _, s := range r.sources {
			s.deletes.end()
			s.deletes.drain(deleting)
		}
		r.handBack()
		r.endPolls(grace)
		r.let()
		r.keepers.Wait()
	})
}

// endPolls waits until polls have ended by themselves, and cuts off those that do not.
func (r *receiver) endPolls(grace time.Duration) {
	ended, done := context.WithCancel(context.Background())
	go func() {
		defer done()
		r.polling.Wait()
	}()
	outage.Sleep(ended, max(grace, 0))
	r.cut()
	<-ended.Done()
}
