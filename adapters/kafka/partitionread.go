package kafka

import (
	"errors"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/openhqm/openhqm/domain"
)

// partitionRead is one read of a partition: first what to read, then what was read.
type partitionRead struct {
	part *partition
	from int64
	now  time.Time // when the answer came

	read []*message
	next int64
	code int16 // of Kafka's error; 0: none
	err  error // why the rest of the answer cannot be read
}

// fill reads the answer for one partition.
func (s *partitionRead) fill(response *fetch.ResponsePartition) error {
	s.code = response.ErrorCode
	stream, ok := response.RecordSet.Records.(*protocol.RecordStream)
	if s.code != 0 || !ok {
		return nil
	}
	aborted := newAborted(response.AbortedTransactions)
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

func (s *partitionRead) takeAll(batch protocol.RecordReader, skip bool) error {
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

// take copies one record and releases its memory.
func (s *partitionRead) take(record *protocol.Record, skip bool) error {
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
	m := &message{offset: record.Offset, value: value, written: millis(record.Time), arrived: arrival(record.Time, s.now)}
	if id := domain.ID(key); id.Valid() {
		m.id = id
	}
	s.read = append(s.read, m)
	return nil
}

// millis is the time in a message as Kafka keeps it; 0: there is none.
func millis(written time.Time) int64 {
	if written.IsZero() {
		return 0
	}
	return written.UnixMilli()
}

// kafkaMade is the year in which Kafka was published. No message can be older.
var kafkaMade = time.Date(2011, time.January, 1, 0, 0, 0, 0, time.UTC)

// arrival returns when a message came: the time that its producer wrote if that is possible, else now. kafka-go returns
// the producer's time even where the broker adds its own, and some producers write seconds, microseconds or nothing.
// With such a time the deadline would be over at once, or never come.
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
