package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/openhqm/openhqm/domain"
)

const (
	// fetchWait is how long the broker waits for news.
	fetchWait = time.Second
	// fetchBytes bounds one answer. A first batch that is larger comes all the same. kafka-go reads each batch into
	// pages of its own, of 64 KiB, and all of an answer at once. A gateway with little to do publishes batches of one
	// small message, and then an answer takes about a hundred times its size in memory.
	fetchBytes = 256 << 10

	noSession     = -1
	readCommitted = 1
)

// fetcher reads the partitions that one broker leads and that have room.
type fetcher struct {
	g      *generation
	broker int32
}

// stretch is what was read of a partition, or is to be.
type stretch struct {
	part *partition
	from int64
	now  time.Time // when it came

	read []*message
	next int64
	code int16 // of Kafka's error; 0: none
	err  error // why the rest of the answer cannot be read
}

func (f *fetcher) run(ctx context.Context) {
	pause := newBackoff()
	for ctx.Err() == nil {
		wanted := f.plan(ctx)
		if len(wanted) == 0 {
			return
		}
		err := f.fetch(ctx, wanted)
		f.done(ctx, wanted, err)
		f.g.c.q.report(ctx, translate(err))
		if err != nil {
			pause.Wait(ctx)
			ring(f.g.reroute)
			continue
		}
		pause.Reset()
	}
}

// plan takes the partitions that are to be read now. It blocks until there is one or ctx ends.
func (f *fetcher) plan(ctx context.Context) []*stretch {
	for ctx.Err() == nil {
		wanted, room := f.wanted()
		if len(wanted) > 0 {
			return wanted
		}
		select {
		case <-room:
		case <-ctx.Done():
		}
	}
	return nil
}

// wanted marks the partitions as being read. Each is the first in its turn: Kafka fills an answer in the order of the
// request, and gives a batch that is larger than the limit to none but the first. A suspect is alone.
func (f *fetcher) wanted() ([]*stretch, <-chan struct{}) {
	c := f.g.c
	c.mu.Lock()
	defer c.mu.Unlock()
	var wanted []*stretch
	for i := range f.g.parts {
		p := f.g.parts[(f.g.first+i)%len(f.g.parts)]
		if p.leader != f.broker || !p.wanting() || p.suspect && len(wanted) > 0 {
			continue
		}
		p.reading = true
		wanted = append(wanted, &stretch{part: p, from: p.next, next: p.next})
		if p.suspect {
			break
		}
	}
	if len(wanted) == 0 {
		f.g.idle++
	}
	f.g.first++
	return wanted, f.g.room
}

// fetch asks for what is wanted. The broker answers when there is something for one of them, and for a suspect at once.
// An answer that cannot be read is an error of the partition, where it can only be that of one.
func (f *fetcher) fetch(ctx context.Context, wanted []*stretch) error {
	answer, err := f.g.c.q.cluster.call(ctx, fetchWait+callTimeout, f.request(wanted))
	if err != nil && len(wanted) == 1 && undecodable(err) {
		wanted[0].err = err
		return nil
	}
	if err != nil {
		return err
	}
	fetched, ok := answer.(*fetch.Response)
	if !ok {
		return errors.New("kafka-go gave an answer to another question")
	}
	if fetched.ErrorCode != 0 {
		return kafka.Error(fetched.ErrorCode)
	}
	now := f.g.c.q.opts.Now()
	for i := range fetched.Topics {
		for j := range fetched.Topics[i].Partitions {
			told := &fetched.Topics[i].Partitions[j]
			for _, s := range wanted {
				if s.part.topic == fetched.Topics[i].Topic && s.part.id == told.Partition {
					s.now = now
					s.err = s.fill(told)
				}
			}
		}
	}
	return nil
}

// undecodable reports whether an error is none of Kafka, the network or the caller: kafka-go has no type for what it
// cannot decode.
func undecodable(err error) bool {
	if _, answered := errors.AsType[kafka.Error](err); answered {
		return false
	}
	if _, network := errors.AsType[net.Error](err); network {
		return false
	}
	for _, other := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.Canceled, protocol.ErrNoTopic} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

func (f *fetcher) request(wanted []*stretch) *fetch.Request {
	req := &fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(fetchWait.Milliseconds()), MinBytes: 1, MaxBytes: fetchBytes,
		IsolationLevel: readCommitted, SessionID: noSession, SessionEpoch: noSession,
	}
	for _, s := range wanted {
		i := slices.IndexFunc(req.Topics, func(t fetch.RequestTopic) bool { return t.Topic == s.part.topic })
		if i < 0 {
			i = len(req.Topics)
			req.Topics = append(req.Topics, fetch.RequestTopic{Topic: s.part.topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, fetch.RequestPartition{
			Partition: s.part.id, CurrentLeaderEpoch: -1, FetchOffset: s.from, LogStartOffset: -1,
			PartitionMaxBytes: int32(f.g.share),
		})
	}
	if wanted[0].part.suspect {
		req.MaxWaitTime = 0
	}
	return req
}

// fill reads the answer for one partition.
func (s *stretch) fill(told *fetch.ResponsePartition) error {
	s.code = told.ErrorCode
	stream, ok := told.RecordSet.Records.(*protocol.RecordStream)
	if s.code != 0 || !ok {
		return nil
	}
	aborted := newAborted(told.AbortedTransactions)
	for _, batch := range stream.Records {
		skip := aborted.skip(batch)
		if err := s.takeAll(batch, skip); err != nil {
			return err
		}
	}
	if s.next == s.from && len(stream.Records) > 0 {
		s.next++ // Kafka has compacted away what was there, up to we do not know where
	}
	return nil
}

func (s *stretch) takeAll(batch protocol.RecordReader, skip bool) error {
	for {
		record, err := batch.ReadRecord()
		if err == nil {
			err = s.take(record, skip)
		} else if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take copies one record, whose memory is used again.
func (s *stretch) take(record *protocol.Record, skip bool) error {
	key, err := protocol.ReadAll(record.Key)
	if err != nil {
		return err
	}
	value, err := protocol.ReadAll(record.Value)
	if err != nil {
		return err
	}
	release(record.Key)
	release(record.Value)
	if record.Offset < s.from { // a batch begins before what was asked for
		return nil
	}
	s.next = record.Offset + 1
	if skip {
		return nil
	}
	m := &message{offset: record.Offset, value: value, arrived: arrival(record.Time, s.now)}
	if id := domain.ID(key); id.Valid() {
		m.id = id
	}
	s.read = append(s.read, m)
	return nil
}

// kafkaMade is when Kafka was published: nothing has arrived before.
var kafkaMade = time.Date(2011, time.January, 1, 0, 0, 0, 0, time.UTC)

// arrival is when a message came, as far as its time can be one of that. kafka-go gives what the producer wrote, also
// where the broker keeps its own time, and some write seconds or microseconds, or nothing. What cannot be is now: its
// deadline is neither over at once nor never.
func arrival(written, now time.Time) time.Time {
	if written.Before(kafkaMade) || written.After(now) {
		written = now
	}
	return written.UTC()
}

func release(b protocol.Bytes) {
	if b != nil {
		_ = b.Close() // it never fails
	}
}

// done puts what was read on the shelves, and deals with partitions that gave an error.
func (f *fetcher) done(ctx context.Context, wanted []*stretch, err error) {
	c := f.g.c
	var astray []*stretch
	c.mu.Lock()
	for _, s := range wanted {
		s.part.reading = false
		switch {
		case err != nil:
			s.part.suspect = true
		case kafka.Error(s.code) == kafka.OffsetOutOfRange:
			s.part.reading = true // until it is begun anew
			astray = append(astray, s)
		case s.code != 0:
			s.part.leader = nobody // until follow finds one
			s.part.gone = s.part.gone || topicMissing(kafka.Error(s.code))
			c.q.report(ctx, translate(kafka.Error(s.code)))
			ring(f.g.reroute)
		default:
			s.part.add(s.read, s.next)
			f.judge(s)
		}
	}
	ready := c.now == f.g && (f.g.next(domain.LaneHigh) != nil || f.g.next(domain.LaneLow) != nil)
	c.mu.Unlock()
	if ready {
		ring(c.bell)
	}
	for _, s := range astray {
		f.outOfRange(ctx, s)
	}
}

// judge takes note of whether the data of a partition can be read. If not, it is asked for again after a pause and
// alone, for somebody may mend it; nothing of it is skipped. Called with the mutex of the consumer held.
func (f *fetcher) judge(s *stretch) {
	p, logger := s.part, f.g.c.q.opts.Logger
	before := p.unreadable
	p.suspect, p.unreadable = s.err != nil, s.err
	switch {
	case s.err != nil:
		p.leader = nobody // until follow tells it once more
		ring(f.g.reroute)
		if before == nil {
			logger.Error("the data of a partition cannot be read; its messages wait until it can",
				"topic", p.topic, "partition", p.id, "offset", s.next, "error", s.err)
		}
	case before != nil:
		logger.Info("the data of a partition can be read again", "topic", p.topic, "partition", p.id)
	}
}

// outOfRange begins a partition anew at its first offset: what comes before was deleted when its time was over, or the
// topic was made anew. Nobody knows from where on messages are new, and the store recognizes those that are not.
func (f *fetcher) outOfRange(ctx context.Context, s *stretch) {
	c, p := f.g.c, s.part
	answer, err := c.q.cluster.client().ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{p.topic: {kafka.FirstOffsetOf(int(p.id))}},
	})
	first := int64(-1)
	if err == nil {
		for _, told := range answer.Topics[p.topic] {
			first, err = told.FirstOffset, told.Error
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.reading = false
	if err != nil || first < 0 {
		c.q.report(ctx, translate(err))
		p.leader = nobody
		ring(f.g.reroute)
		return
	}
	if s.from > 0 {
		c.q.opts.Logger.Error("messages were deleted before they were read, or the topic was made anew",
			"topic", p.topic, "partition", p.id, "offset", s.from, "first_offset", first)
	}
	p.begin(first)
	f.g.roomMade()
}
