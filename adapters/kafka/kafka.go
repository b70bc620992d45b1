// Package kafka carries messages over two topics of Apache Kafka, one for each priority lane, to one consumer group.
// Over the same connections it writes topics that other programs read, and reads topics that they write.
//
// Publishing is acks=all by group commit: while one request to a broker is under way the next gathers, and there is no
// timer. Consuming joins the group, reads a bounded number of bytes ahead of each partition, hands messages out in any
// number and in any order of settling, and commits the offset below which all are settled.
//
// Of kafka-go it uses Transport and ConsumerGroup. Its Writer queues without a bound while the brokers are away and may
// still deliver after it has returned an error; its Reader commits whatever offset came last, also backwards, and
// commits messages of one generation of the group in the next.
//
// Two more of its habits matter to operators. Where auto.create.topics.enable is on, joining the group while a topic is
// missing creates that topic with the defaults of the broker. And kafka-go distinguishes topics by their names alone,
// not by their ids.
package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Options of a queue. All durations and limits come from the configuration; there are no defaults here.
type Options struct {
	Brokers           []string      // host:port, of which one must answer at the start
	Topic             string        // of the low lane
	HighTopic         string        // of the high lane
	Group             string        // the consumer group
	InletGroup        string        // the consumer group of inlets; "": there can be none
	Partitions        int           // of each topic, when we make it
	ReplicationFactor int           // of each topic, when we make it; 0: 3, or as many as there are brokers
	Retention         time.Duration // of each topic, when we make it; another topic must have at least that
	MaxMessage        int           // bytes of a value
	SessionTimeout    time.Duration // after which other members take over from one that crashed
	TLS               *tls.Config   // nil: plain text
	SASL              SASL
	Dial              Dial // nil: over TCP
	Now               func() time.Time
	Logger            *slog.Logger
}

// Queue implements ports.Carrier and ports.Detailed.
type Queue struct {
	opts     Options
	topics   lanes
	cluster  *cluster
	outage   *outage.Log
	refusals *outage.Refusals
	producer *producer
	consumer *consumer
	ages     ages
	details  atomic.Pointer[map[string]string]

	mu     sync.Mutex
	inlets []*consumer // guarded by mu

	repairing sync.Mutex
	repaired  time.Time // when repair last tried; guarded by repairing
	broken    error     // what it got; guarded by repairing

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	loops  sync.WaitGroup // the long-running goroutines
	once   sync.Once
}

var (
	_ ports.Carrier  = (*Queue)(nil)
	_ ports.Detailed = (*Queue)(nil)
)

// lanes are topics by lane.
type lanes [domain.LaneCount]string

// Open connects, creates missing topics, and checks the settings of existing ones. When Kafka is away, refuses us, or a
// topic has unsuitable settings, Open returns an error within 10 s, which names the brokers and the topic but never a
// password. Settings that may lose requests after a 202 are logged as a warning. The first Receive joins the group.
func Open(ctx context.Context, opts Options) (*Queue, error) {
	if len(opts.Brokers) == 0 || opts.Topic == "" || opts.HighTopic == "" || opts.Group == "" {
		return nil, errors.New("kafka.brokers, kafka.group and queue.requests must not be empty")
	}
	q := &Queue{
		opts:     opts,
		outage:   &outage.Log{Name: "kafka", Logger: opts.Logger, Now: opts.Now},
		refusals: &outage.Refusals{Name: "kafka", Logger: opts.Logger, Now: opts.Now},
	}
	q.ages.first = make(map[place]first)
	q.topics[domain.LaneLow], q.topics[domain.LaneHigh] = opts.Topic, opts.HighTopic
	var err error
	if q.cluster, err = newCluster(&q.opts, []topic{{name: opts.Topic}, {name: opts.HighTopic}}); err != nil {
		return nil, err
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	starting, cancel := context.WithTimeout(ctx, carrier.OpenTimeout)
	defer cancel()
	if err := q.prepare(starting); err != nil {
		q.cancel()
		q.cluster.close()
		return nil, fmt.Errorf("open kafka at %s: %w", strings.Join(opts.Brokers, ","), err)
	}
	q.producer = newProducer(q)
	q.consumer = newConsumer(q, opts.Group, q.topics[:]...)
	q.loops.Go(q.producer.repeat)
	return q, nil
}

// Publish sends each message to the partition that its id has in the topic of its lane. What Kafka has refused for a
// reason that passes, and what nobody knows the end of, is sent again for 10 s, so a message may lie in the queue
// twice. With the last request that makes 20 s at most, unless more than 64 MiB wait to be sent. When it is given up
// while a request is under way, that request may still have its effect; what was not yet sent never will be.
func (q *Queue) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	return q.producer.publish(ctx, q.topics, messages)
}

// Receive hands out what was read ahead. The first call joins the group.
func (q *Queue) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	return q.consumer.Receive(ctx, count, bytes)
}

// Settle is described by ports.Receiver. Tickets of other queues are ignored.
func (q *Queue) Settle(tickets []ports.Ticket) { q.consumer.Settle(tickets) }

// Leave commits what is settled and leaves the group, so that other members take over at once what was not handed out
// and what is still worked on. From then on Receive returns ports.ErrClosed and Settle changes nothing. Outlets and
// inlets go on. It blocks for a few seconds at most; the second call does nothing.
func (q *Queue) Leave() { q.consumer.leave() }

// Close leaves the group, and those of inlets, answers everybody who waits with ports.ErrClosed and closes the
// connections. It blocks until that is done, a few seconds at most; again it does nothing.
func (q *Queue) Close() error {
	q.once.Do(func() {
		q.leaveAll()
		q.cancel()
		cut := time.AfterFunc(carrier.ClosePatience, q.cluster.close)
		q.loops.Wait()
		cut.Stop()
		q.cluster.close()
	})
	return nil
}

// Probe asks every broker that leads a partition of ours, and the one that coordinates the group. A topic that is
// missing and cannot be made, a group that is used and cannot be joined, or a partition whose data cannot be read, is
// an error too, and so is a topic of requests that may not be written. Another topic that may not is ports.Degraded.
func (q *Queue) Probe(ctx context.Context) error {
	if q.ctx.Err() != nil {
		return ports.ErrClosed
	}
	_, err := q.Lag(ctx)
	broken := q.repairError()
	for _, c := range q.consumers() {
		broken = cmp.Or(broken, c.health())
	}
	return cmp.Or(broken, err, q.refused())
}

// report notes how a call of Kafka ended. What its caller or Close cut off says nothing about Kafka.
func (q *Queue) report(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil || q.ctx.Err() != nil:
	case forbidden(err):
		q.refusals.Note(err)
	default:
		q.refusals.Expire()
		q.outage.Report(err)
	}
}
