package sqs

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/carrier"
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

	// Leaving ends one after the other.
	receiving lifetime // ends when leaving begins
	polling   lifetime // requests for messages; ends once they have had time to return
	keeping   lifetime // of what is held; ends when it is handed back
	leaving   sync.Once

	wake carrier.WakeUp // there may be something to receive

	mu      sync.Mutex
	sources []*source           // by lane
	held    map[string]*message // all that we have, by place
	waiting int                 // Receives that wait
	want    int                 // how much the last Receive asked for
	asked   time.Time           // when that was
	turn    domain.LaneTurn
	polled  time.Time // when the last poll began
}

var _ ports.Receiver = (*receiver)(nil)

// lifetime is a context and the goroutines that live no longer than it, or not much.
type lifetime struct {
	context.Context //nolint:containedctx // it is a part of the receiver's life

	end   context.CancelFunc
	loops *sync.WaitGroup
}

func newLifetime() lifetime {
	ctx, end := context.WithCancel(context.Background())
	return lifetime{ctx, end, &sync.WaitGroup{}}
}

func newReceiver(l *link, from ...*remote) *receiver {
	r := &receiver{
		link: l, visibility: l.opts.Visibility,
		longPoll: cmp.Or(l.opts.longPoll, usualLongPoll), lifetime: cmp.Or(l.opts.lifetime, maxVisibility),
		receiving: newLifetime(), polling: newLifetime(), keeping: newLifetime(),
		wake: carrier.NewWakeUp(), held: make(map[string]*message),
	}
	for lane, queue := range from {
		s := &source{r: r, from: queue, lane: domain.Lane(lane), flows: true, allowed: 1, pause: carrier.NewBackoff()}
		s.redelete.backoff = carrier.NewBackoff()
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
		case r.receiving.Err() != nil:
			return nil, ports.ErrClosed
		case ctx.Err() != nil:
			r.wake.Signal() // it may have been meant for another
			return nil, context.Cause(ctx)
		}
		if taken := r.take(count, bytes); len(taken) > 0 {
			return taken, nil
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
		case <-r.receiving.Done():
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
		r.turn.Took(s.lane)
	}
	r.fill()
	if r.choose(now) != nil {
		r.wake.Signal() // for the next
	}
	return taken
}

// choose returns the source whose message is next. Nil: none has one, or it is soon known whether a source that goes
// first has one.
func (r *receiver) choose(now time.Time) *source {
	for _, lane := range r.turn.Order() {
		if int(lane) >= len(r.sources) {
			continue // an inlet has one lane
		}
		s := r.sources[lane]
		if s.next(now) != nil {
			return s
		}
		if s.flows && s.polls == 0 && r.receiving.Err() == nil {
			s.begin()
		}
		if s.probing > 0 {
			return nil
		}
	}
	return nil
}

// fill begins as many polls as are of use. Called with mu held.
func (r *receiver) fill() {
	if r.receiving.Err() != nil {
		return
	}
	for _, s := range r.sources {
		for s.wanting() {
			s.begin()
		}
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
		r.receiving.end()
		r.mu.Lock()
		grace := r.polled.Add(r.longPoll + pollGrace).Sub(r.link.opts.Now())
		r.mu.Unlock()
		deleting, cancel := context.WithTimeout(r.keeping.Context, leavePatience)
		defer cancel()
		for _, s := range r.sources {
			s.deletes.end()
			s.deletes.drain(deleting)
		}
		r.handBack()
		r.endPolls(grace)
		r.keeping.end()
		r.keeping.loops.Wait()
	})
}

// endPolls waits until polls have ended by themselves, and cuts off those that do not.
func (r *receiver) endPolls(grace time.Duration) {
	ended, done := context.WithCancel(context.Background())
	go func() {
		defer done()
		r.polling.loops.Wait()
	}()
	outage.Sleep(ended, max(grace, 0))
	r.polling.end()
	<-ended.Done()
}
