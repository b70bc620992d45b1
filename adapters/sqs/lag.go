package sqs

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openhqm/openhqm/ports"
)

// counts are the attributes that make up the depth of a queue.
var counts = []types.QueueAttributeName{
	types.QueueAttributeNameApproximateNumberOfMessages,
	types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}

// Lag asks for the depth of both queues, with one request each. SQS says of its own counts that they are approximate,
// and no request returns the age of messages: Oldest is that of those which this process has.
func (q *Queue) Lag(ctx context.Context) (ports.Lag, error) {
	messages, err := q.depth(ctx)
	if err != nil {
		return ports.Lag{}, err
	}
	return ports.Lag{Messages: messages, Oldest: q.receiver.oldest()}, nil
}

// depth counts the messages of both queues.
func (q *Queue) depth(ctx context.Context) (messages int64, err error) {
	for _, r := range q.lanes {
		depth, err := r.depth(ctx)
		switch {
		case q.link.ctx.Err() != nil:
			return 0, ports.ErrClosed
		case err != nil:
			return 0, err
		}
		messages += depth
	}
	return messages, nil
}

// depth counts the messages of a queue. One that has gone is made again, if we may: a process that is not ready gets no
// requests, so nothing else might come that makes it.
func (r *remote) depth(ctx context.Context) (messages int64, err error) {
	answer, err := r.attributes(ctx, counts...)
	if missing(err) {
		return 0, r.recreate(ctx)
	}
	if forbidden(err) {
		err = fmt.Errorf("queue %q: %w", r.name, about(err))
		r.link.denied.Note(err)
		return 0, err
	}
	err = about(err)
	r.link.report(ctx, err)
	for _, name := range counts {
		messages += number(answer, name)
	}
	return messages, err
}

// oldest is when the first of the messages came that we have.
func (r *receiver) oldest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var oldest time.Time
	for _, m := range r.held {
		if oldest.IsZero() || m.arrived.Before(oldest) {
			oldest = m.arrived
		}
	}
	return oldest
}
