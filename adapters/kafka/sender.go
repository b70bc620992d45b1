package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

const (
	// Bounds of one request. Later messages wait for its end.
	maxRequestOps   = 8192
	maxRequestBytes = 8 << 20
	// produceTimeout is how long the broker may wait for its replicas, and answerTimeout how long we wait for it.
	produceTimeout = 8 * time.Second
	answerTimeout  = 10 * time.Second
)

// sender sends to one broker, one request at a time: while it is under way the next gathers.
type sender struct {
	q      *Queue
	p      *producer
	broker int32
	wake   carrier.WakeUp

	mu      sync.Mutex
	waiting []*op
	closed  bool
}

func newSender(p *producer, broker int32) *sender {
	return &sender{q: p.q, p: p, broker: broker, wake: carrier.NewWakeUp()}
}

func (s *sender) put(o *op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.p.answer(o, ports.ErrClosed)
		return
	}
	s.waiting = append(s.waiting, o)
	s.wake.Signal()
}

// run sends until the queue is closed.
func (s *sender) run() {
	for {
		select {
		case <-s.wake:
		case <-s.q.ctx.Done():
			s.close()
			return
		}
		if ops := s.gather(); len(ops) > 0 {
			s.send(ops)
			s.wake.Signal() // for the rest
		}
	}
}

// close answers what was not sent.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, o := range s.waiting {
		s.p.answer(o, ports.ErrClosed)
	}
	s.waiting = nil
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

func (o *op) place() place { return place{o.topic, o.partition} }

// gather takes what waits, within the bounds of a request and of the batch that each partition gets in it.
func (s *sender) gather() []*op {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ops, left []*op
	total, batches, limit := 0, make(map[place]int), s.q.batchLimit()
	for i, o := range s.waiting {
		if len(ops) == maxRequestOps || len(left) == maxRequestOps || total >= maxRequestBytes {
			left = append(left, s.waiting[i:]...)
			break
		}
		switch size := batches[o.place()]; {
		case o.call.Over():
			s.p.answer(o, nil) // nobody hears it
		case size > 0 && (o.alone || size+o.size() > limit):
			left = append(left, o)
		default:
			batches[o.place()] = size + o.size()
			if o.alone {
				batches[o.place()] = limit
			}
			ops, total = append(ops, o), total+o.size()
		}
	}
	s.waiting = left
	return ops
}

// send makes one request of ops, and answers them or sends them again.
func (s *sender) send(ops []*op) {
	batches := make(map[place][]*op)
	for _, o := range ops {
		batches[o.place()] = append(batches[o.place()], o)
	}
	answer, err := s.request(batches)
	if err != nil {
		s.q.report(s.q.ctx, translate(err))
		for _, o := range ops {
			s.failed(o, err)
		}
		return
	}
	s.q.report(s.q.ctx, nil)
	for i := range answer.Topics {
		topic := &answer.Topics[i]
		for j := range topic.Partitions {
			partition := &topic.Partitions[j]
			batch := batches[place{topic.Topic, partition.Partition}]
			s.judge(topic.Topic, kafka.Error(partition.ErrorCode))
			s.conclude(batch, partition.ErrorCode)
			delete(batches, place{topic.Topic, partition.Partition})
		}
	}
	for _, batch := range batches {
		s.conclude(batch, int16(kafka.Unknown)) // the answer says nothing about it
	}
}

// judge notes whether a topic may be written.
func (s *sender) judge(topic string, err kafka.Error) {
	switch {
	case forbidden(err):
		s.q.report(s.q.ctx, &topicError{topic, translate(err)})
	case err == 0:
		s.q.refusals.End(ofTopic(topic))
	}
}

// failed deals with an op of a request that got no answer.
func (s *sender) failed(o *op, err error) {
	if s.q.ctx.Err() != nil {
		s.p.answer(o, ports.ErrClosed)
		return
	}
	s.p.retry(o, err)
}

// conclude answers, or sends again, the ops of one batch.
func (s *sender) conclude(batch []*op, code int16) {
	err := kafka.Error(code)
	for _, o := range batch {
		switch {
		case code == 0:
			s.p.answer(o, nil)
		case len(batch) > 1 && (err == kafka.MessageSizeTooLarge || err == kafka.RecordListTooLarge):
			// The limit of the topic was lowered. One of them may be too large, or only all of them together.
			o.alone = true
			s.p.route(o)
		default:
			s.p.retry(o, err)
		}
	}
}

// request sends one batch for each partition. All partitions are led by the sender's broker, as far as we know.
func (s *sender) request(batches map[place][]*op) (*produce.Response, error) {
	req := &produce.Request{Acks: int16(kafka.RequireAll), Timeout: int32(produceTimeout.Milliseconds())}
	for at, batch := range batches {
		i := slices.IndexFunc(req.Topics, func(t produce.RequestTopic) bool { return t.Topic == at.topic })
		if i < 0 {
			i = len(req.Topics)
			req.Topics = append(req.Topics, produce.RequestTopic{Topic: at.topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, produce.RequestPartition{
			Partition: at.partition, RecordSet: protocol.RecordSet{Records: recordsOf(batch)},
		})
	}
	// What a caller waits for is done, also during Close, which cuts the connection in the end.
	answer, err := s.q.cluster.call(context.WithoutCancel(s.q.ctx), answerTimeout, req)
	if err != nil {
		return nil, err
	}
	produced, ok := answer.(*produce.Response)
	if !ok {
		return nil, fmt.Errorf("kafka-go returned an unexpected %T", answer)
	}
	return produced, nil
}

func recordsOf(batch []*op) protocol.RecordReader {
	records := make([]protocol.Record, len(batch))
	for i, o := range batch {
		records[i] = protocol.Record{Key: protocol.NewBytes(o.key), Value: protocol.NewBytes(o.value)}
	}
	return protocol.NewRecordReader(records...)
}
