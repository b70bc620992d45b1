package sqs_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// benchValue is as large as a small request.
var benchValue = bytes.Repeat([]byte("x"), 500)

const (
	// benchCallers is how many publish at once, each one message, as a gateway under load does.
	benchCallers = 64
	// benchParallel is how many requests the bare client has under way: as many as the queue allows itself.
	benchParallel = 8
)

func benchMessages(n int) []ports.QueueMessage {
	made := messages(domain.LaneLow, n)
	for i := range made {
		made[i].Value = benchValue
	}
	return made
}

func BenchmarkPublish(b *testing.B) {
	q := open(b, options(b, testkit.SharedSQS(b).URL))
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
	q := open(b, options(b, testkit.SharedSQS(b).URL))
	for n := b.N; n > 0; n -= 5000 {
		require.NoError(b, errors.Join(q.Publish(context.Background(), benchMessages(min(n, 5000)))...))
	}
	b.ResetTimer()
	for left := b.N; left > 0; {
		some, err := q.Receive(context.Background(), 64, 1<<20)
		require.NoError(b, err)
		settle(q, some...)
		left -= len(some)
	}
	settled(b, q)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkBareSend is the ceiling of BenchmarkPublish: full batches, several at once.
func BenchmarkBareSend(b *testing.B) {
	client, url := benchQueue(b)
	b.ResetTimer()
	sendBare(b, client, url, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkBareReceiveAndDelete is the ceiling of BenchmarkReceiveAndSettle: full batches, several at once.
func BenchmarkBareReceiveAndDelete(b *testing.B) {
	client, url := benchQueue(b)
	sendBare(b, client, url, b.N)
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	inParallel(func() {
		for left.Load() > 0 {
			received, err := client.ReceiveMessage(b.Context(), &awssqs.ReceiveMessageInput{
				QueueUrl: &url, MaxNumberOfMessages: 10,
			})
			if err != nil {
				b.Error(err)
				return
			}
			entries := make([]types.DeleteMessageBatchRequestEntry, len(received.Messages))
			for i, m := range received.Messages {
				entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
			}
			if len(entries) == 0 {
				continue
			}
			if _, err := client.DeleteMessageBatch(b.Context(), &awssqs.DeleteMessageBatchInput{
				QueueUrl: &url, Entries: entries,
			}); err != nil {
				b.Error(err)
				return
			}
			left.Add(-int64(len(entries)))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func benchQueue(b *testing.B) (client *awssqs.Client, url string) {
	b.Helper()
	client = admin(b, testkit.SharedSQS(b).URL)
	return client, makeQueue(b, client, uniqueName(b), nil)
}

func inParallel(f func()) {
	var all sync.WaitGroup
	for range benchParallel {
		all.Go(f)
	}
	all.Wait()
}

func sendBare(b *testing.B, client *awssqs.Client, url string, n int) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	inParallel(func() {
		for {
			some := min(10, left.Add(-10)+10)
			if some <= 0 {
				return
			}
			entries := make([]types.SendMessageBatchRequestEntry, some)
			for i := range entries {
				entries[i] = types.SendMessageBatchRequestEntry{
					Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(benchValue)),
				}
			}
			if _, err := client.SendMessageBatch(b.Context(), &awssqs.SendMessageBatchInput{
				QueueUrl: &url, Entries: entries,
			}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
