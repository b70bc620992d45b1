package sqs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// op is one message on its way.
type op struct {
	call  *carrier.Call
	index int // in the call
	body  body
	until time.Time // when it is not sent again any more
	alone bool      // a request it was in was refused as a whole
}

// sender sends to one queue.
type sender struct {
	p   *publisher
	to  *remote
	ops gatherer[*op]

	refusals refusals

	pause pause
}

func newSender(p *publisher, to *remote) *sender {
	s := &sender{p: p, to: to, pause: pause{backoff: carrier.NewBackoff()}}
	s.ops.loops, s.ops.fit, s.ops.send = &p.link.loops, s.fit, s.send
	return s
}

// limit is how many bytes a message may have.
func (s *sender) limit() int { return min(s.p.link.opts.MaxMessage, int(s.to.limit.Load())) }

// fit counts ops for one request. Where a queue takes messages of 1 MiB, so do all of a request together; earlier the
// bound of both was 256 KiB, which a queue may lower for messages alone.
func (s *sender) fit(ops []*op) int {
	total, bound := 0, min(max(int(s.to.limit.Load()), usualLimit), maxTotal)
	for i, o := range ops {
		total += o.body.size()
		if i > 0 && (total > bound || o.alone) || i == maxBatch {
			return i
		}
		if o.alone {
			return 1
		}
	}
	return len(ops)
}

// send makes one request, answers its ops, and returns those that are to be sent again, after a pause.
func (s *sender) send(ops []*op) (again []*op) {
	ops = s.awaited(ops)
	if len(ops) == 0 {
		return nil
	}
	entries := make([]types.SendMessageBatchRequestEntry, len(ops))
	for i, o := range ops {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), MessageBody: &o.body.text, MessageAttributes: o.body.attributes(),
		}
	}
	// What a caller waits for is done, also while closing.
	answer, err := request(context.Background(), s.p.link, s.p.link.api.SendMessageBatch,
		&sqs.SendMessageBatchInput{QueueUrl: &s.to.url, Entries: entries})
	s.refusals.note(s.to, err)
	if err != nil {
		return s.refused(ops, err)
	}
	again = s.conclude(ops, answer)
	s.pause.rest(s.p.link.ctx, len(again) > 0)
	return again
}

// conclude answers the ops of a request that was answered, and returns those that are to be sent again.
func (s *sender) conclude(ops []*op, answer *sqs.SendMessageBatchOutput) (again []*op) {
	sent, failures := make(map[string]bool), make(map[string]types.BatchResultErrorEntry)
	for i := range answer.Successful {
		sent[aws.ToString(answer.Successful[i].Id)] = true
	}
	for _, failure := range answer.Failed {
		failures[aws.ToString(failure.Id)] = failure
	}
	for i, o := range ops {
		failure := failures[strconv.Itoa(i)] // empty where the answer says nothing about it
		switch {
		case sent[strconv.Itoa(i)]:
			s.p.answer(o, nil)
		case s.retryable(o) && !failure.SenderFault:
			again = append(again, o)
		default:
			s.p.answer(o, fmt.Errorf("%w: sqs rejected the message: %s: %s",
				ports.ErrUnavailable, aws.ToString(failure.Code), aws.ToString(failure.Message)))
		}
	}
	return again
}

// awaited returns the ops that somebody waits for, and answers all of them when it is too late to send.
func (s *sender) awaited(ops []*op) (left []*op) {
	for _, o := range ops {
		switch {
		case s.p.link.ctx.Err() != nil:
			s.p.answer(o, ports.ErrClosed)
		case o.call.Over():
			s.p.answer(o, nil) // nobody hears it
		default:
			left = append(left, o)
		}
	}
	return left
}

// refused deals with the ops of a request that failed as a whole.
func (s *sender) refused(ops []*op, err error) (again []*op) {
	answer := about(err)
	repeat := passes(err)
	switch {
	case missing(err):
		recreated := s.to.recreate(s.p.link.ctx)
		s.refusals.keep(s.to, recreated)
		repeat = recreated == nil
	case repeat:
	case !slices.Contains(ofMessage, code(err)): // it would be the same for each of them
	case len(ops) > 1:
		for _, o := range ops {
			o.alone = true
		}
		return ops
	case s.outgrown(ops[0]):
		answer = s.p.tooLarge(ops[0].body.size(), s.limit())
	}
	for _, o := range ops {
		switch {
		case s.p.link.ctx.Err() != nil:
			s.p.answer(o, ports.ErrClosed)
		case repeat && s.retryable(o) && !s.p.link.outage.Lasts(carrier.PublishPatience):
			again = append(again, o)
		default:
			s.p.answer(o, answer)
		}
	}
	s.pause.rest(s.p.link.ctx, true)
	return again
}

// retryable reports whether there is time to send an op again.
func (s *sender) retryable(o *op) bool { return s.p.link.opts.Now().Before(o.until) }

// outgrown reports whether the queue takes smaller messages than it did when we looked.
func (s *sender) outgrown(o *op) bool {
	answer, err := s.to.attributes(s.p.link.ctx, types.QueueAttributeNameMaximumMessageSize)
	if err != nil {
		return false
	}
	s.to.learn(answer)
	return o.body.size() > s.limit()
}

// pause is for requests of one kind that are under way at once. It is safe for concurrent use.
type pause struct {
	mu      sync.Mutex
	backoff outage.Backoff
}

// rest pauses when something went wrong, longer each time, until ctx ends.
func (p *pause) rest(ctx context.Context, wrong bool) {
	p.mu.Lock()
	if !wrong {
		p.backoff.Reset()
		p.mu.Unlock()
		return
	}
	next := p.backoff.Next()
	p.mu.Unlock()
	outage.Sleep(ctx, next)
}
