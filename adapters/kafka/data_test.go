package kafka_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAPartitionThatEndsBeforeItsGroupBeginsAnew(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts, logged := options(t, brokers), &testkit.Logged{}
	opts.Partitions, opts.Logger = 1, logged.Logger()
	q := open(t, opts)
	sent := messages(domain.LaneLow, 5)
	publish(t, q, sent)
	until(t, "an offset is committed", func() bool {
		answer, err := admin(t, brokers).OffsetCommit(t.Context(), &kafkago.OffsetCommitRequest{
			GroupID: opts.Group, GenerationID: -1,
			Topics: map[string][]kafkago.OffsetCommit{opts.Topic: {{Partition: 0, Offset: 1000}}},
		})
		return err == nil && answer.Topics[opts.Topic][0].Error == nil
	})
	got := receive(t, q, len(sent))
	require.ElementsMatch(t, sentIDs(sent), ids(got))
	settle(q, got...)
	settled(t, q)
	require.Equal(t, 1, strings.Count(logged.String(), "all its messages come again"), logged.String())
}

// spoiled is a connection that changes each of these words in what is read, while it is told to.
type spoiled struct {
	net.Conn

	word []byte
	on   *atomic.Bool
}

func (s *spoiled) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if at := bytes.Index(b[:n], s.word); at >= 0 && s.on.Load() {
		b[at] ^= 1
	}
	return n, err
}

func TestDataThatCannotBeReadHoldsUpItsPartitionAlone(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts, logged := options(t, brokers), &testkit.Logged{}
	var on atomic.Bool
	on.Store(true)
	opts.Logger = logged.Logger()
	opts.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		made, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &spoiled{Conn: made, word: []byte("spoil this"), on: &on}, err
	}
	q := open(t, opts)
	bad := messages(domain.LaneLow, 1)
	bad[0].Value = []byte("spoil this")
	publish(t, q, bad)
	others := messages(domain.LaneHigh, 50)
	publish(t, q, others)
	settle(q, receive(t, q, len(others))...)
	until(t, "it is told", func() bool {
		err := q.Probe(t.Context())
		return err != nil && strings.Contains(err.Error(), "cannot be read") &&
			strings.Count(logged.String(), "of a partition cannot be read") == 1
	})
	on.Store(false)
	got := receive(t, q, 1)
	require.Equal(t, sentIDs(bad), ids(got))
	settle(q, got...)
	settled(t, q)
	healthy(t, q)
	require.Contains(t, logged.String(), "can be read again")
}
