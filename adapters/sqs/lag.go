package sqs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openhqm/openhqm/ports"
)

// Lag is what waits in the queue, about: SQS says of its own counts that they are approximate.
type Lag struct {
	// Messages is how many are in both queues: those that wait, those that somebody has, and those that are delayed.
	Messages int64
	// Oldest is when the first of those came that we have. No request tells that of the others. Zero: we have none.
	Oldest time.Time
}

// counts are the attributes that make up the depth of a queue.
var counts = []types.QueueAttributeName{
	types.QueueAttributeNameApproximateNumberOfMessages,
	types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}

// Lag asks for the depth of both queues, with one request each. The errors are those of ports: ErrUnavailable,
// ErrClosed.
func (q *Queue) Lag(ctx context.Context) (Lag, error) {
	lag := Lag{Oldest: q.receiver.oldest()}
	for _, r := range q.lanes {
		told, err := r.attributes(ctx, counts...)
		switch {
		case q.link.ctx.Err() != nil:
			return Lag{}, ports.ErrClosed
		case err != nil:
			return Lag{}, err
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
