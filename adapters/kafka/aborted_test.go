package kafka

import (
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/stretchr/testify/require"
)

func TestBatchesOfAbortedTransactionsAreSkipped(t *testing.T) {
	t.Parallel()
	a := newAborted([]fetch.ResponseTransaction{{ProducerID: 8, FirstOffset: 20}, {ProducerID: 7, FirstOffset: 10}})
	batch := func(producer, offset int64, attributes protocol.Attributes) protocol.RecordReader {
		return &protocol.RecordBatch{ProducerID: producer, BaseOffset: offset, Attributes: attributes}
	}
	end := func(producer, offset int64) protocol.RecordReader {
		return &protocol.ControlBatch{ProducerID: producer, BaseOffset: offset}
	}
	steps := []struct {
		give protocol.RecordReader
		want bool
		why  string
	}{
		{batch(7, 5, protocol.Transactional), false, "this one was committed"},
		{end(7, 9), true, "the end of a transaction is no message"},
		{batch(7, 10, protocol.Transactional), true, "this one was aborted"},
		{batch(9, 12, protocol.Transactional), false, "another producer's was committed"},
		{batch(9, 13, 0), false, "without a transaction"},
		{batch(7, 15, protocol.Transactional), true, "it goes on"},
		{end(7, 16), true, "its end"},
		{batch(7, 17, protocol.Transactional), false, "the next one was committed"},
		{batch(8, 20, protocol.Transactional), true, "another was aborted"},
		{&protocol.MessageSet{}, false, "the format of old producers knows no transactions"},
	}
	for _, step := range steps {
		require.Equal(t, step.want, a.skip(step.give), step.why)
	}
}
