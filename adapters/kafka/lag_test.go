package kafka_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// fill publishes batches of one small message, so many in each partition.
func fill(t *testing.T, brokers []string, topic string, partitions, batches int) {
	t.Helper()
	client := admin(t, brokers)
	for i := range partitions * batches {
		answer, err := client.Produce(t.Context(), &kafkago.ProduceRequest{
			Topic: topic, Partition: i % partitions, RequiredAcks: kafkago.RequireAll,
			Records: kafkago.NewRecordReader(kafkago.Record{Value: kafkago.NewBytes([]byte(fmt.Sprint(i)))}),
		})
		require.NoError(t, err)
		require.NoError(t, answer.Error)
	}
}

// TestLagIsCheapWhateverTheBacklog measures what the whole process allocates.
func TestLagIsCheapWhateverTheBacklog(t *testing.T) { //nolint:paralleltest // see above
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	opts.Partitions = 16
	q := open(t, opts)
	const batches = 30
	fill(t, brokers, opts.Topic, opts.Partitions, batches)
	healthy(t, q)
	const calls = 5
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		lag, err := q.Lag(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, opts.Partitions*batches, lag.Messages)
		require.WithinDuration(t, time.Now(), lag.Oldest, patience)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/calls, uint64(2<<20))
}

func TestLagReportsTheOldestOfManyPartitions(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	opts.MaxMessage, opts.Partitions = 500_000, 25
	created, err := admin(t, brokers).CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: opts.Topic, NumPartitions: opts.Partitions, ReplicationFactor: 1}},
	})
	require.NoError(t, err)
	require.NoError(t, created.Errors[opts.Topic])
	q := open(t, opts)
	oldest := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	for i := range opts.Partitions {
		answer, err := admin(t, brokers).Produce(t.Context(), &kafkago.ProduceRequest{
			Topic: opts.Topic, Partition: i, RequiredAcks: kafkago.RequireAll,
			Records: kafkago.NewRecordReader(kafkago.Record{Time: oldest.Add(time.Duration(i*7%25) * time.Minute)}),
		})
		require.NoError(t, err)
		require.NoError(t, answer.Error)
	}
	oldestIs := func(want time.Time) func() bool {
		return func() bool {
			lag, err := q.Lag(t.Context())
			return err == nil && lag.Oldest.Equal(want)
		}
	}
	until(t, "all partitions were looked at", oldestIs(oldest))
	for _, r := range receive(t, q, opts.Partitions) {
		if r.Arrived.Equal(oldest) {
			settle(q, r)
		}
	}
	until(t, "the oldest is the next one", oldestIs(oldest.Add(time.Minute)))
}
