package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/leavegroup"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

const (
	// heartbeat is how soon a member learns that another joins or leaves, at most. It is a third of a shorter session.
	heartbeat = time.Second
	// rebalanceTimeout is how long the group waits for a member to join again, which takes it one heartbeat and one
	// commit.
	rebalanceTimeout = 10 * time.Second
	// patientTries is how often the coordinator may refuse before that is an outage: it does for a while when it was just
	// started, and when it has forgotten a member.
	patientTries = 5
	// leavePatience is how long leaving the group may take. After that the other members wait for the session to end.
	leavePatience = 6 * time.Second
)

// consumer is a member of a group, from the first receive on. A generation is the time between two rebalances, in
// which it owns some partitions; messages of an earlier one belong to other members.
type consumer struct {
	q      *Queue
	group  string
	topics []string // by lane
	join   sync.Once

	ctx    context.Context // ends when leave begins
	cancel context.CancelFunc
	left   chan struct{} // closed when the member has left

	wake    carrier.WakeUp // there may be something to receive
	divided *divided

	mu      sync.Mutex
	now     *generation // nil between two
	turn    domain.LaneTurn
	failure error // why the group cannot be joined; nil: it can
}

var _ ports.Receiver = (*consumer)(nil)

func newConsumer(q *Queue, group string, topics ...string) *consumer {
	c := &consumer{q: q, group: group, topics: topics, divided: &divided{}}
	c.left, c.wake = make(chan struct{}), carrier.NewWakeUp()
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Receive hands out what was read ahead. The first call joins the group. When kafka-go refuses to try, it answers
// ports.ErrClosed, and why.
func (c *consumer) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	c.join.Do(func() { c.q.loops.Go(c.run) })
	for {
		switch {
		case c.ctx.Err() != nil:
			return nil, ports.ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		if taken := c.take(count, bytes); len(taken) > 0 {
			return taken, nil
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
		case <-c.left:
			if c.ctx.Err() == nil {
				return nil, c.health()
			}
		case <-c.ctx.Done():
		}
	}
}

// take hands out what was read ahead.
func (c *consumer) take(count int, bytes int64) []ports.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		return nil
	}
	var taken []ports.Received
	var total int64
	for len(taken) < count {
		p := c.choose()
		if p == nil {
			break
		}
		m := p.shelf[0]
		if total += int64(len(m.value)); len(taken) > 0 && total > bytes {
			break
		}
		taken = append(taken, c.now.handOut(p))
		c.turn.Took(p.lane)
	}
	if c.choose() != nil {
		c.wake.Signal() // for the next
	}
	return taken
}

// choose returns the partition whose message is next; nil when there is none.
func (c *consumer) choose() *partition {
	for _, lane := range c.turn.Order() {
		if p := c.now.next(lane); p != nil {
			return p
		}
	}
	return nil
}

// Settle moves the marks of partitions. What belongs to an earlier generation, or to a time before a partition was
// begun again, is ignored, and so are tickets of other receivers.
func (c *consumer) Settle(tickets []ports.Ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	moved := false
	for _, ticket := range tickets {
		m, ok := ticket.(*message)
		if !ok || c.now == nil || m.part.gen != c.now || m.track != m.part.track || m.settled {
			continue
		}
		held := m.part.full()
		if m.track.settle(m) {
			m.part.gen.changed()
			moved = moved || held
		}
	}
	if moved { // what was held up goes on
		c.wake.Signal()
	}
}

// run is a member of the group until leave.
func (c *consumer) run() {
	defer close(c.left)
	pause := carrier.NewBackoff()
	for number := 0; c.ctx.Err() == nil; number++ {
		group, err := kafka.NewConsumerGroup(c.config(c.q.cluster.from(number)))
		if err != nil { // it looks at nothing but our own options
			c.refuse(fmt.Errorf("%w: the consumer group can never be joined: %w", ports.ErrClosed, err))
			return
		}
		c.belong(group, &pause)
		pause.Wait(c.ctx)
	}
}

// belong takes part in generations, and closes the group in the end, which leaves it.
func (c *consumer) belong(group *kafka.ConsumerGroup, pause *outage.Backoff) {
	ctx, cancel := context.WithCancel(c.ctx)
	var leaving sync.WaitGroup
	defer leaving.Wait()
	defer cancel()
	leaving.Go(func() {
		<-ctx.Done()
		_ = group.Close() // it never fails
	})
	c.generations(group, pause)
}

// config is for joining by one of these brokers. Errors come back from Next; kafka-go leaves the group by itself on
// some of them.
func (c *consumer) config(brokers []string) kafka.ConsumerGroupConfig {
	opts := &c.q.opts
	return kafka.ConsumerGroupConfig{
		ID: c.group, Brokers: brokers, Topics: c.topics,
		Dialer:            c.q.cluster.dialer(),
		HeartbeatInterval: min(heartbeat, opts.SessionTimeout/3),
		SessionTimeout:    opts.SessionTimeout,
		RebalanceTimeout:  rebalanceTimeout,
		JoinGroupBackoff:  outage.FirstPause, // run adds its own
		GroupBalancers:    []kafka.GroupBalancer{balancer{seen: c.divided}},
		StartOffset:       kafka.FirstOffset,
		Timeout:           carrier.CallTimeout,
	}
}

// generations takes part in one generation after another, until the group must be joined by another broker: kafka-go
// would go on asking the first one that accepts a connection, also when that is all it does.
func (c *consumer) generations(group *kafka.ConsumerGroup, pause *outage.Backoff) {
	member := ""
	for {
		next, err := group.Next(c.ctx)
		switch {
		case c.ctx.Err() != nil:
			return
		case errors.Is(err, kafka.RebalanceInProgress):
			continue
		case err != nil:
			if _, answered := errors.AsType[kafka.Error](err); !answered || pause.Tries() >= patientTries {
				c.fail(translate(err))
			}
			if member != "" {
				c.q.loops.Go(func() { c.removeMember(member) })
			}
			return
		}
		member = next.MemberID
		c.divided.begin(next.ID)
		g := newGeneration(c, next)
		if g.participate() {
			pause.Reset()
			continue
		}
		pause.Wait(c.ctx)
	}
}

// removeMember removes an earlier member of ours from the group. After an error kafka-go joins as a new one, and the
// other members would wait for the old one until its session ends. A coordinator that starts counts that session from
// its beginning, so this keeps trying while Kafka is away.
func (c *consumer) removeMember(member string) {
	req := &leavegroup.Request{
		GroupID: c.group, MemberID: member, Members: []leavegroup.RequestMember{{MemberID: member}},
	}
	for pause := carrier.NewBackoff(); c.ctx.Err() == nil; pause.Wait(c.ctx) {
		answer, err := c.q.cluster.call(c.ctx, carrier.CallTimeout, req)
		left, ok := answer.(*leavegroup.Response)
		if err == nil && ok && !kafka.Error(left.ErrorCode).Temporary() {
			return
		}
		c.q.cluster.forget()
	}
}

// enter makes a generation the one that messages are taken from.
func (c *consumer) enter(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.failure = g, nil
}

// fail notes why the group cannot be joined.
func (c *consumer) fail(err error) {
	c.q.report(c.ctx, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// refuse ends what can never be joined.
func (c *consumer) refuse(err error) {
	c.q.opts.Logger.Error("the consumer group cannot be joined; nothing is received until the configuration is fixed",
		"error", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// health returns why the group could not be joined when that was last tried, or why a partition cannot be read.
func (c *consumer) health() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil || c.now == nil {
		return c.failure
	}
	return c.now.unreadable()
}

// exit ends that.
func (c *consumer) exit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = nil
}

// leave commits, leaves the group and waits until that is done, or cut off.
func (c *consumer) leave() {
	c.cancel()
	c.join.Do(func() { close(c.left) }) // nobody has joined, and nobody will
	timer := time.NewTimer(leavePatience)
	defer timer.Stop()
	select {
	case <-c.left:
	case <-timer.C:
		c.q.opts.Logger.Warn("kafka did not confirm leaving the group; other members take over when the session ends",
			"session_timeout", c.q.opts.SessionTimeout)
	}
}
