// Package sqs carries messages over two standard queues of Amazon SQS, one for each priority lane.
//
// All requests are batches of up to ten, by group commit: while requests are under way the next gathers, a full one
// goes at once beside the rest, and there is no timer. Consuming polls in loops of its own, reads a bounded number of
// messages ahead, and extends the visibility of everything that it has until that is settled, lost or handed back.
//
// The client retries nothing by itself: what is sent again, for how long and with what pauses is decided here, since a
// message, a receipt and an extension each have an end of their own.
package sqs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Options of a queue. All durations and limits come from the configuration; there are no defaults here.
type Options struct {
	Region       string // "": as the default chain of AWS says
	Endpoint     string // URL of the service; "": that of the region
	Queue        string // of the low lane
	HighQueue    string // of the high lane
	CreateQueues bool
	Retention    time.Duration // of queues that we make, and the least that existing ones must have
	Visibility   time.Duration // whole seconds after which other processes take over from one that crashed
	MaxMessage   int           // bytes of a value
	Credentials  Credentials
	HTTPClient   *http.Client // nil: one of our own
	Now          func() time.Time
	Logger       *slog.Logger

	longPoll time.Duration // in tests; 0: usualLongPoll
	lifetime time.Duration // likewise
	emptyFor time.Duration // likewise; 0: usualEmpty
}

// Credentials of a user. The zero value stands for those of the default chain of AWS: environment, shared files, the
// role of a container or of a machine.
type Credentials struct{ KeyID, Secret string }

// Limits of SQS, from "Amazon SQS message quotas" and "ReceiveMessage" in its documentation.
const (
	maxRetention  = 14 * 24 * time.Hour
	minVisibility = time.Second
	maxVisibility = 12 * time.Hour
	maxBatch      = 10        // messages of a request
	maxTotal      = 1 << 20   // bytes of a message, and of all messages of a request
	usualLimit    = 256 << 10 // what maxTotal was until 2025
)

// usualLongPoll is how long a poll waits for messages: less than the 20 s of SQS, because leaving has to wait for it.
const usualLongPoll = 5 * time.Second

// Queue implements ports.Carrier and ports.Detailed.
type Queue struct {
	link      *link
	lanes     []*remote // by domain.Lane
	publisher *publisher
	receiver  *receiver

	mu      sync.Mutex
	outlets []*publisher
	inlets  []*receiver
	once    sync.Once
}

var (
	_ ports.Carrier  = (*Queue)(nil)
	_ ports.Detailed = (*Queue)(nil)
)

// Open finds the queues, makes them where they are missing, and looks whether they keep messages for long enough. When
// SQS is away, refuses us, or a queue will not do, that is an error within 10 s, which names the endpoint, the queue
// and the permission, but never a secret. Polling begins with the first Receive.
func Open(ctx context.Context, opts Options) (*Queue, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, carrier.OpenTimeout)
	defer cancel()
	l, err := newLink(starting, opts)
	if err != nil {
		return nil, err
	}
	q := &Queue{link: l, lanes: make([]*remote, domain.LaneCount)}
	var names [domain.LaneCount]string
	names[domain.LaneLow], names[domain.LaneHigh] = opts.Queue, opts.HighQueue
	for lane, name := range names {
		if q.lanes[lane], err = l.open(starting, name); err != nil {
			l.close()
			return nil, err
		}
	}
	q.publisher = newPublisher(l, q.lanes...)
	q.receiver = newReceiver(l, q.lanes...)
	return q, nil
}

func (o *Options) check() error {
	switch {
	case o.Retention > maxRetention:
		return fmt.Errorf("sqs keeps messages for at most %s, and request.max_age and a day make %s",
			maxRetention, o.Retention)
	case o.Visibility < minVisibility || o.Visibility > maxVisibility || o.Visibility%time.Second != 0:
		return fmt.Errorf("queue.lease must be whole seconds from %s to %s for sqs, and is %s",
			minVisibility, maxVisibility, o.Visibility)
	}
	return errors.Join(checkName(o.Queue), checkName(o.HighQueue), checkEndpoint(o.Endpoint))
}

// Publish sends each message to the queue of its lane. What SQS has refused for a reason that passes, and what nobody
// knows the end of, is sent again for 10 s, so a message may lie in the queue twice. With the last request that makes
// 15 s at most, unless more than 64 MiB wait to be sent. When it is given up while a request is under way, that request
// may still have its effect; what was not yet sent never will be.
func (q *Queue) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	return q.publisher.Publish(ctx, messages)
}

// Receive hands out what was read ahead. The first call begins to poll. The ids of messages are empty: SQS has no key.
func (q *Queue) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	return q.receiver.Receive(ctx, count, bytes)
}

// Settle is described by ports.Receiver. Tickets of other queues are ignored.
func (q *Queue) Settle(tickets []ports.Ticket) { q.receiver.Settle(tickets) }

// Leave deletes what is settled and hands back everything else that was received, so that other processes take it over
// at once. From then on Receive returns ports.ErrClosed and Settle changes nothing. It blocks until polls under way
// have ended, 10 s at most; the second call does nothing.
func (q *Queue) Leave() { q.receiver.leave() }

// Close leaves, also the inlets, answers everybody who waits with ports.ErrClosed and closes the connections. It blocks
// until that is done, 13 s at most; again it does nothing.
func (q *Queue) Close() error {
	q.once.Do(func() {
		q.mu.Lock()
		q.link.cancel()
		publishers := slices.Concat(q.outlets, []*publisher{q.publisher})
		receivers := slices.Concat(q.inlets, []*receiver{q.receiver})
		q.mu.Unlock()
		for _, p := range publishers {
			p.end()
		}
		var left sync.WaitGroup
		for _, r := range receivers {
			left.Go(r.leave)
		}
		left.Wait()
		q.link.close()
	})
	return nil
}

// Probe asks for the depth of both queues. A queue that is missing and cannot be made is an error too, and so is what
// AWS refused when we last received, sent, deleted or extended: until that succeeds, or for 30 s when it is not tried
// again. Beside the lanes it is ports.Degraded.
func (q *Queue) Probe(ctx context.Context) error {
	_, err := q.Lag(ctx) // whatever stands, since it makes queues again
	if q.link.ctx.Err() != nil {
		return ports.ErrClosed
	}
	refused := q.refused()
	if _, degraded := errors.AsType[ports.Degraded](refused); degraded {
		return cmp.Or(err, refused)
	}
	return cmp.Or(refused, err)
}

// Details names the queues that take messages away from us.
func (q *Queue) Details() map[string]string {
	all := make(map[string]string)
	for _, r := range q.lanes {
		if r.redrive.Load() {
			all["queue "+r.name] = "has a redrive policy, which takes away messages received often; remove it"
		}
	}
	return all
}
