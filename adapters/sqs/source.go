package sqs

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

const (
	// maxAhead bounds the messages of a lane that are read ahead, and maxAheadBytes what they may have together before no
	// more are asked for.
	maxAhead      = 64
	maxAheadBytes = 8 << 20
	// plentiful is how many messages in one answer mean that more wait behind them.
	plentiful = maxBatch / 2
)

// source is one queue that messages come from. From the shelf on, all is guarded by the mutex of the receiver.
type source struct {
	r        *receiver
	from     *remote
	lane     domain.Lane
	deletes  gatherer[*message]
	redelete pause // between deletions that fail

	receiving, deleting, changing refusals

	shelf []*message // read ahead, in their order
	bytes int64      // of the values on the shelf

	// A source flows when nothing is known of it, and for as long as answers are plentiful. Then several polls are under
	// way, which do not wait, so it is soon known whether there is more. A source that is dry has one, which does wait.
	flows   bool
	polls   int // under way, or pausing after an error
	probing int // those of them that do not wait
	allowed int // how many may be
	pause   outage.Backoff
}

// message is one hand-out by SQS. All but its names is guarded by the mutex of the receiver.
type message struct {
	source  *source
	place   string
	receipt string
	value   []byte // until it is handed out
	arrived time.Time
	crowded chan struct{}
	lost    context.Context //nolint:containedctx // see ports.Received
	lose    context.CancelCauseFunc

	received time.Time // when we got it
	due      time.Time // when its visibility is to be extended
	expires  time.Time // when its visibility ends
	shelved  bool      // not handed out yet
	crowds   bool      // crowded is closed
	settled  bool
	gone     bool // deleted, lost or handed back
}

// wanting reports whether one more poll is to begin.
func (s *source) wanting() bool {
	if !s.flows && s.r.waiting == 0 {
		return false // another process could work on what comes later
	}
	return s.polls < s.allowed && s.bytes < maxAheadBytes && len(s.shelf)+maxBatch*s.polls < s.r.want
}

// begin begins a poll. Called with the mutex of the receiver held.
func (s *source) begin() {
	wait := s.r.longPoll
	s.r.polled = s.r.link.opts.Now()
	s.polls++
	if s.flows {
		wait = 0
		s.probing++
	}
	s.r.polling.loops.Go(func() {
		s.poll(wait)
		if s.r.receiving.Err() != nil {
			s.r.handBack()
		}
	})
}

// poll asks SQS once.
func (s *source) poll(wait time.Duration) {
	l := s.r.link
	answer, err := requestFor(s.r.polling, l, wait+carrier.CallTimeout, l.api.ReceiveMessage, &sqs.ReceiveMessageInput{
		QueueUrl: &s.from.url, MaxNumberOfMessages: maxBatch,
		VisibilityTimeout: int32(s.r.visibility / time.Second), WaitTimeSeconds: int32(wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		MessageAttributeNames:       []string{encodingAttribute},
	})
	s.receiving.note(s.from, err)
	if pause := s.answered(answer, err, wait); err != nil {
		s.rest(err, pause)
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.polls--
	s.r.fill()
	s.r.wake.Signal()
}

// answered notes how a poll ended, and returns how long to pause after an error: longer each time.
func (s *source) answered(answer *sqs.ReceiveMessageOutput, err error, wait time.Duration) (pause time.Duration) {
	now := s.r.link.opts.Now()
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if wait == 0 {
		s.probing--
	}
	if err != nil {
		s.allowed = 1
		s.r.wake.Signal() // nobody is to wait for this one
		return s.pause.Next()
	}
	s.pause.Reset()
	s.add(answer.Messages, now)
	return 0
}

// rest pauses after an error. A queue that is missing is made again meanwhile.
func (s *source) rest(err error, pause time.Duration) {
	if missing(err) {
		s.receiving.keep(s.from, s.from.recreate(s.r.receiving))
	}
	outage.Sleep(s.r.receiving, pause)
}

// add takes in what SQS answered.
func (s *source) add(answer []types.Message, now time.Time) {
	s.flows = len(answer) >= plentiful
	if s.flows {
		s.allowed = min(2*s.allowed, maxParallel)
	} else {
		s.allowed = 1
	}
	for i := range answer {
		m := s.message(&answer[i], now)
		if old := s.r.held[m.place]; old != nil {
			s.r.drop(old) // its visibility was over for SQS
		}
		s.r.held[m.place] = m
		s.shelf = append(s.shelf, m)
		s.bytes += int64(len(m.value))
	}
}

func (s *source) message(answer *types.Message, now time.Time) *message {
	sent, _ := strconv.ParseInt(answer.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	m := &message{
		source: s, place: aws.ToString(answer.MessageId), receipt: aws.ToString(answer.ReceiptHandle), value: decode(answer),
		arrived: time.UnixMilli(sent), crowded: make(chan struct{}), received: now, shelved: true,
	}
	if sent == 0 {
		m.arrived = now
	}
	m.lost, m.lose = context.WithCancelCause(context.Background())
	m.extended(now, s.r.visibility)
	return m
}

// extended notes that a message is ours for so long from then on.
func (m *message) extended(from time.Time, visibility time.Duration) {
	m.due, m.expires = from.Add(visibility/extendAfter), from.Add(visibility)
}

// handOut returns the first message of the shelf.
func (s *source) handOut() ports.Received {
	m := s.unshelve()
	value := m.value
	m.value = nil // the ticket may live for long
	return ports.Received{
		QueueMessage: ports.QueueMessage{Lane: s.lane, Value: value},
		Place:        m.place, Arrived: m.arrived, Ticket: m, Crowded: m.crowded, Lost: m.lost,
	}
}

func (s *source) unshelve() *message {
	m := s.shelf[0]
	s.shelf[0] = nil // the array may live for long
	s.shelf = s.shelf[1:]
	s.bytes -= int64(len(m.value))
	m.shelved = false
	return m
}

// next returns the first message of the shelf that is still ours; nil when there is none.
func (s *source) next(now time.Time) *message {
	for len(s.shelf) > 0 {
		m := s.shelf[0]
		if !m.gone && now.Before(m.expires) {
			return m
		}
		s.r.drop(s.unshelve())
	}
	return nil
}
