package sqs

import (
	"context"
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
// and no request tells the age of messages: Oldest is that of those which this process has.
func (q *Queue) Lag(ctx context.Context) (ports.Lag, error) {
	lag := ports.Lag{Oldest: q.receiver.oldest()}
	for _, r := range q.lanes {
		told, err := r.attributes(ctx, counts...)
		q.link.note(ctx, err)
		switch {
		case q.link.ctx.Err() != nil:
			return ports.Lag{}, ports.ErrClosed
		case err != nil:
			return ports.Lag{}, about(err)
		}
		for _, name := range counts {
			lag.Messages += number(told, name)
		}
	}
	return lag, nil
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
