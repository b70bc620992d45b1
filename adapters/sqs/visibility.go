package sqs

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/adapters/carrier"
)

const (
	// extendAfter: a message is extended after a third of its visibility, which leaves time to repeat a failed request.
	extendAfter = 3
	// lookEvery: due messages are looked for twelve times per visibility. Those that are nearly due are extended along
	// with them, so that requests are full.
	lookEvery = 12
	// longestLook and longestLost bound the time between two looks: for messages to extend, and for messages whose
	// visibility has run out.
	longestLook = 5 * time.Second
	longestLost = time.Second
	// idleAfter: a consumer that has asked for nothing for a sixth of the visibility needs no messages in stock.
	idleAfter = 6
	// crowdMargin is how long before SQS takes a message away Received.Crowded is closed; half of its lifetime if that is
	// shorter. SQS lets nobody keep a message for more than 12 h after its receipt ("Visibility timeout" in the manual).
	crowdMargin = time.Hour
)

// startKeeping starts the loops that look after what we have, until it is handed back.
func (r *receiver) startKeeping() {
	every := min(r.visibility/lookEvery, longestLook)
	r.keeping.loops.Go(func() { repeat(r.keeping, every, func() { r.extend(every) }) })
	r.keeping.loops.Go(func() { repeat(r.keeping, min(every, longestLost), r.expire) })
}

func repeat(ctx context.Context, every time.Duration, f func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// expire drops messages whose visibility is over, and signals those that SQS will soon extend no more.
func (r *receiver) expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.link.opts.Now()
	crowding := r.lifetime - min(crowdMargin, r.lifetime/2)
	for _, m := range r.held {
		switch {
		case !now.Before(m.expires):
			r.drop(m)
		case !m.crowds && now.Sub(m.received) >= crowding:
			m.crowds = true
			close(m.crowded)
		}
	}
}

// extend extends the visibility of messages that are due, or will be soon. Messages in stock that nobody asks for are
// handed back instead.
func (r *receiver) extend(soon time.Duration) {
	var due, back []*message
	r.mu.Lock()
	now := r.link.opts.Now()
	for _, m := range r.held {
		switch {
		case m.settled || now.Add(soon).Before(m.due):
		case m.shelved && r.waiting == 0 && now.Sub(r.asked) >= r.visibility/idleAfter:
			back = append(back, m)
			r.drop(m)
			r.want = 0 // or else it would be fetched again
		default:
			due = append(due, m)
		}
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.keeping, min(r.visibility/extendAfter, carrier.CallTimeout))
	defer cancel()
	r.change(ctx, back, nothing)
	r.change(ctx, due, r.remaining)
}

// remaining returns the longest visibility that a message may get, in whole seconds. False: SQS will not extend it.
func (r *receiver) remaining(m *message) (time.Duration, bool) {
	left := min(r.visibility, r.lifetime-r.link.opts.Now().Sub(m.received)).Truncate(time.Second)
	return left, left > 0
}

// nothing is a visibility of zero, which hands a message back.
func nothing(*message) (time.Duration, bool) { return 0, true }

// change sets the visibility of messages from now on, ten in a request and a few requests at once.
func (r *receiver) change(ctx context.Context, all []*message, to func(*message) (time.Duration, bool)) {
	var requests errgroup.Group
	requests.SetLimit(maxParallel)
	for _, s := range r.sources {
		var some []*message
		for i, m := range all {
			if m.source == s {
				some = append(some, all[i])
			}
		}
		for len(some) > 0 {
			n := fitMessages(some)
			batch := some[:n]
			some = some[n:]
			requests.Go(func() error {
				s.change(ctx, batch, to)
				return nil
			})
		}
	}
	_ = requests.Wait() // nobody fails
}

func fitMessages(all []*message) int { return min(len(all), maxBatch) }

// change makes one request. A failure that will not pass means that a message is not ours any more; after any other it
// is tried again for as long as it is.
func (s *source) change(ctx context.Context, all []*message, to func(*message) (time.Duration, bool)) {
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, 0, len(all))
	times := make([]time.Duration, len(all))
	for i, m := range all {
		var ok bool
		if times[i], ok = to(m); !ok {
			continue
		}
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.receipt, VisibilityTimeout: int32(times[i] / time.Second),
		})
	}
	if len(entries) == 0 {
		return
	}
	now := s.r.link.opts.Now()
	answer, err := request(ctx, s.r.link, s.r.link.api.ChangeMessageVisibilityBatch,
		&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &s.from.url, Entries: entries})
	s.changing.note(s.from, err)
	if err != nil {
		return
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, changed := range answer.Successful {
		if i, ours := entry(changed.Id, len(all)); ours {
			all[i].extended(now, times[i])
		}
	}
	for _, failed := range answer.Failed {
		if i, ours := entry(failed.Id, len(all)); ours && failed.SenderFault {
			s.r.drop(all[i])
		}
	}
}

// entry returns the index that an entry of a request of n had for its id; false: there was none such.
func entry(id *string, n int) (i int, ours bool) {
	i, err := strconv.Atoi(aws.ToString(id))
	return i, err == nil && i >= 0 && i < n
}

// handBack makes everything that we have visible to other processes at once.
func (r *receiver) handBack() {
	r.mu.Lock()
	var all []*message
	for _, m := range r.held {
		if !m.settled {
			all = append(all, m)
		}
		r.drop(m)
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	r.change(ctx, all, nothing)
}
