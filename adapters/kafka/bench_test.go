package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// benchValue is as large as a small request.
var benchValue = bytes.Repeat([]byte("x"), 500)

// benchCallers is how many publish at once, each one message, as a gateway under load does.
const benchCallers = 64

func benchMessages(n int) []ports.QueueMessage {
	made := messages(domain.LaneLow, n)
	for i := range made {
		made[i].Value = benchValue
	}
	return made
}

func BenchmarkPublish(b *testing.B) {
	q := open(b, options(b, testkit.SharedKafka(b).Brokers))
	all := benchMessages(b.N)
	b.ResetTimer()
	next := make(chan []ports.QueueMessage)
	var callers sync.WaitGroup
	for range benchCallers {
		callers.Go(func() {
			for one := range next {
				if err := q.Publish(context.Background(), one)[0]; err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range all {
		next <- all[i : i+1]
	}
	close(next)
	callers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkReceiveAndSettle(b *testing.B) {
	q := open(b, options(b, testkit.SharedKafka(b).Brokers))
	publish(b, q, benchMessages(1))
	settle(q, receive(b, q, 1)...) // the group is joined
	publishMany(b, q, b.N)
	b.ResetTimer()
	for left := b.N; left > 0; {
		some, err := q.Receive(context.Background(), 64, 1<<20)
		require.NoError(b, err)
		settle(q, some...)
		left -= len(some)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkReceiveSmallBatches reads what was published one by one, as a gateway with little to do publishes: see
// fetchBytes.
func BenchmarkReceiveSmallBatches(b *testing.B) {
	brokers := testkit.SharedKafka(b).Brokers
	opts := options(b, brokers)
	q := open(b, opts)
	produceBare(b, benchClient(b, brokers), opts.Topic, b.N, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		some, err := q.Receive(context.Background(), 64, 1<<20)
		require.NoError(b, err)
		settle(q, some...)
		left -= len(some)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(memory.HeapSys)/(1<<20), "heap-MB")
}

func publishMany(b *testing.B, q interface {
	Publish(ctx context.Context, messages []ports.QueueMessage) []error
}, n int,
) {
	b.Helper()
	for ; n > 0; n -= 5000 {
		require.NoError(b, errors.Join(q.Publish(context.Background(), benchMessages(min(n, 5000)))...))
	}
}

// benchBatch is how many messages the bare client sends at once: as many as callers wait for.
const benchBatch = benchCallers

// BenchmarkBareProduce is the ceiling of BenchmarkPublish: one batch after another, to one partition.
func BenchmarkBareProduce(b *testing.B) {
	brokers := testkit.SharedKafka(b).Brokers
	topic := options(b, brokers).Topic
	client := benchClient(b, brokers)
	benchTopic(b, client, topic)
	b.ResetTimer()
	produceBare(b, client, topic, b.N, benchBatch)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkBareFetch is the ceiling of BenchmarkReceiveAndSettle: one partition is read, nothing is committed.
func BenchmarkBareFetch(b *testing.B) {
	brokers := testkit.SharedKafka(b).Brokers
	topic := options(b, brokers).Topic
	client := benchClient(b, brokers)
	benchTopic(b, client, topic)
	produceBare(b, client, topic, b.N, 1000)
	b.ResetTimer()
	for offset := int64(0); offset < int64(b.N); {
		answer, err := client.Fetch(context.Background(), &kafkago.FetchRequest{
			Topic: topic, Offset: offset, MinBytes: 1, MaxBytes: 1 << 20,
		})
		require.NoError(b, errors.Join(err, answer.Error))
		for {
			record, err := answer.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(b, err)
			_, err = kafkago.ReadAll(record.Value)
			require.NoError(b, err)
			offset = record.Offset + 1
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func benchClient(b *testing.B, brokers []string) *kafkago.Client {
	b.Helper()
	transport := &kafkago.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	return &kafkago.Client{Addr: kafkago.TCP(brokers...), Transport: transport, Timeout: patience}
}

func benchTopic(b *testing.B, client *kafkago.Client, topic string) {
	b.Helper()
	answer, err := client.CreateTopics(context.Background(), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}},
	})
	require.NoError(b, errors.Join(err, answer.Errors[topic]))
}

func produceBare(b *testing.B, client *kafkago.Client, topic string, n, batch int) {
	b.Helper()
	for ; n > 0; n -= batch {
		records := make([]kafkago.Record, min(n, batch))
		for i := range records {
			records[i] = kafkago.Record{Key: kafkago.NewBytes([]byte("request")), Value: kafkago.NewBytes(benchValue)}
		}
		answer, err := client.Produce(context.Background(), &kafkago.ProduceRequest{
			Topic: topic, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...),
		})
		require.NoError(b, errors.Join(err, answer.Error))
	}
}
