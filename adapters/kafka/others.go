package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/openhqm/openhqm/ports"
)

// Outlet gives what publishes in a topic that other programs read: each message in the partition that its id has there,
// whatever its lane, and as Queue.Publish does. A topic that is missing is made like those of requests; another must
// keep messages for as long. That it does not, or Kafka does not let us, is an error within 10 s. The outlet lives
// until Close.
func (q *Queue) Outlet(ctx context.Context, name string) (ports.Publisher, error) {
	if err := q.use(ctx, topic{name: name}); err != nil {
		return nil, err
	}
	return &outlet{q: q, topics: lanes{name, name}}, nil
}

// outlet publishes in a topic of other programs.
type outlet struct {
	q      *Queue
	topics lanes
}

func (o *outlet) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	return o.q.producer.publish(ctx, o.topics, messages)
}

// Inlet gives what reads a topic that other programs write, as a member of a consumer group for that topic alone, which
// begins at the first message there is. The first Receive joins the group. All messages are of the high lane. A topic
// that is missing is made, and another must do, as for Outlet. The inlet lives until Close, which leaves the group;
// then its Receive answers ports.ErrClosed.
func (q *Queue) Inlet(ctx context.Context, name string) (ports.Receiver, error) {
	group := q.opts.InletGroup
	if group == "" || group == q.opts.Group {
		return nil, fmt.Errorf("topic %q needs a consumer group of its own, not %q", name, group)
	}
	if err := q.use(ctx, topic{name: name, foreign: true}); err != nil {
		return nil, err
	}
	c := newConsumer(q, group, name)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ctx.Err() != nil {
		return nil, ports.ErrClosed
	}
	q.inlets = append(q.inlets, c)
	return c, nil
}

// use makes a topic one of ours.
func (q *Queue) use(ctx context.Context, used topic) error {
	switch {
	case q.ctx.Err() != nil:
		return ports.ErrClosed
	case used.name == "":
		return errors.New("the name of a topic must not be empty")
	case !q.cluster.add(used):
		return nil
	}
	starting, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	q.repairing.Lock()
	err := q.prepare(starting)
	q.repairing.Unlock()
	if err != nil {
		q.cluster.remove(used.name)
		return fmt.Errorf("use kafka: %w", err)
	}
	_, err = q.producer.learn() // so that nobody has to wait until it is known
	return translate(err)
}

// consumers are those of all groups.
func (q *Queue) consumers() []*consumer {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]*consumer{q.consumer}, q.inlets...)
}

// leaveAll leaves every group.
func (q *Queue) leaveAll() {
	var leaving sync.WaitGroup
	for _, c := range q.consumers() {
		leaving.Go(c.leave)
	}
	leaving.Wait()
}
