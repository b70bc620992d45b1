package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/openhqm/openhqm/adapters/carrier"
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
	q      *Queue
	c      *consumer
	g      *generation
	broker int32
}

func (f *fetcher) run(ctx context.Context) {
	pause := carrier.NewBackoff()
	for ctx.Err() == nil {
		wanted := f.plan(ctx)
		if len(wanted) == 0 {
			return
		}
		err := f.fetch(ctx, wanted)
		f.done(ctx, wanted, err)
		f.q.report(ctx, translate(err))
		if err != nil {
			pause.Wait(ctx)
			f.g.reroute.Signal()
			continue
		}
		pause.Reset()
	}
}

// plan takes the partitions that are to be read now. It blocks until there is one or ctx ends.
func (f *fetcher) plan(ctx context.Context) []*partitionRead {
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
// request, and returns a batch that is larger than the limit to none but the first. A doubtful one is alone.
func (f *fetcher) wanted() ([]*partitionRead, <-chan struct{}) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	var wanted []*partitionRead
	for i := range f.g.parts {
		p := f.g.parts[(f.g.first+i)%len(f.g.parts)]
		if p.leader != f.broker || !p.wanting() || p.doubtful && len(wanted) > 0 {
			continue
		}
		p.reading = true
		wanted = append(wanted, &partitionRead{part: p, from: p.next, next: p.next})
		if p.doubtful {
			break
		}
	}
	if len(wanted) == 0 {
		f.g.idle++
	}
	f.g.first++
	return wanted, f.g.room
}

// fetch asks for what is wanted. The broker answers when there is something for one of them, and for a doubtful one at
// once. An answer that cannot be read is an error of the partition, where it can only be that of one.
func (f *fetcher) fetch(ctx context.Context, wanted []*partitionRead) error {
	answer, err := f.q.cluster.call(ctx, fetchWait+carrier.CallTimeout, f.request(wanted))
	if err != nil && len(wanted) == 1 && undecodable(err) {
		wanted[0].err = err
		return nil
	}
	if err != nil {
		return err
	}
	fetched, ok := answer.(*fetch.Response)
	if !ok {
		return fmt.Errorf("kafka-go returned an unexpected %T", answer)
	}
	if fetched.ErrorCode != 0 {
		return kafka.Error(fetched.ErrorCode)
	}
	now := f.q.opts.Now()
	for i := range fetched.Topics {
		for j := range fetched.Topics[i].Partitions {
			response := &fetched.Topics[i].Partitions[j]
			for _, s := range wanted {
				if s.part.topic == fetched.Topics[i].Topic && s.part.id == response.Partition {
					s.now = now
					s.err = s.fill(response)
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

func (f *fetcher) request(wanted []*partitionRead) *fetch.Request {
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
	if wanted[0].part.doubtful {
		req.MaxWaitTime = 0
	}
	return req
}

// done puts what was read on the shelves, and deals with partitions that gave an error.
func (f *fetcher) done(ctx context.Context, wanted []*partitionRead, err error) {
	var astray []*partitionRead
	f.c.mu.Lock()
	for _, s := range wanted {
		s.part.reading = false
		switch {
		case err != nil:
			s.part.doubtful = true
		case kafka.Error(s.code) == kafka.OffsetOutOfRange:
			s.part.reading = true // until it is begun anew
			astray = append(astray, s)
		case s.code != 0:
			s.part.leader = nobody // until follow finds one
			s.part.gone = s.part.gone || topicMissing(kafka.Error(s.code))
			f.q.report(ctx, translate(kafka.Error(s.code)))
			f.g.reroute.Signal()
		default:
			s.part.add(s.read, s.next)
			f.judge(s)
		}
	}
	ready := f.c.now == f.g && (f.g.next(domain.LaneHigh) != nil || f.g.next(domain.LaneLow) != nil)
	f.c.mu.Unlock()
	if ready {
		f.c.wake.Signal()
	}
	for _, s := range astray {
		f.outOfRange(ctx, s)
	}
}

// judge notes whether the data of a partition can be read. If not, it is asked for again after a pause and
// alone, since an operator may repair it; nothing of it is skipped. Called with the mutex of the consumer held.
func (f *fetcher) judge(s *partitionRead) {
	p, logger := s.part, f.q.opts.Logger
	before := p.unreadable
	p.doubtful, p.unreadable = s.err != nil, s.err
	switch {
	case s.err != nil:
		p.leader = nobody // until follow finds it again
		f.g.reroute.Signal()
		if before == nil {
			logger.Error("the data of a partition cannot be read; its messages wait until that is repaired",
				"topic", p.topic, "partition", p.id, "offset", s.next, "error", s.err)
		}
	case before != nil:
		logger.Info("the data of a partition can be read again", "topic", p.topic, "partition", p.id)
	}
}

// outOfRange begins a partition again at its first offset: what comes before was deleted when its time was over, or the
// partition ends earlier than it did, because it was made again or a broker lost its end. Nobody knows from where on
// messages are new, and the store recognizes those that are not.
func (f *fetcher) outOfRange(ctx context.Context, s *partitionRead) {
	p := s.part
	answer, err := f.q.cluster.client().ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{p.topic: {kafka.FirstOffsetOf(int(p.id))}},
	})
	first := int64(-1)
	if err == nil {
		for _, response := range answer.Topics[p.topic] {
			first, err = response.FirstOffset, response.Error
		}
	}
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	p.reading = false
	if err != nil || first < 0 {
		f.q.report(ctx, translate(err))
		p.leader = nobody
		f.g.reroute.Signal()
		return
	}
	f.logRestart(s, first)
	p.begin(first)
	f.g.roomMade()
}

// logRestart logs what it means that a partition is begun again at its first offset.
func (f *fetcher) logRestart(s *partitionRead, first int64) {
	logger := f.q.opts.Logger.With(
		"topic", s.part.topic, "partition", s.part.id, "offset", s.from, "first_offset", first)
	switch {
	case s.from == 0:
		logger.Warn("no committed offset; replaying the partition from its start, " +
			"which repeats calls whose records have expired")
	case s.from < first:
		logger.Error("messages were deleted before they were read, and are lost; check the retention of the topic")
	default:
		logger.Error("the partition ends before the committed offset; replaying it from its start, " +
			"which repeats calls whose records have expired")
	}
}
