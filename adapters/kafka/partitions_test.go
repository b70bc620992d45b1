package kafka_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestASlowMessageDoesNotStopItsPartition(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	opts.Partitions = 1
	q := open(t, opts)
	sent := messages(domain.LaneLow, 3*kafka.MaxGap)
	publish(t, q, sent)
	slow := receive(t, q, 1)[0]
	for range kafka.MaxGap/2 - 1 {
		settle(q, receive(t, q, 1)...)
	}
	select {
	case <-slow.Crowded:
		require.Fail(t, "it is crowded too early")
	default:
	}
	next := receive(t, q, 1)
	select {
	case <-slow.Crowded:
	default:
		require.Fail(t, "it is not crowded")
	}
	select {
	case <-next[0].Crowded:
		require.Fail(t, "what came last does not crowd")
	default:
	}
	settle(q, append(receive(t, q, kafka.MaxGap/2-1), next...)...)

	// The bound is reached: nothing comes until the slow one is settled.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := q.Receive(ctx, 1, 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	settle(q, slow)
	for left := len(sent) - kafka.MaxGap; left > 0; left -= kafka.MaxGap {
		settle(q, receive(t, q, kafka.MaxGap)...)
	}
	settled(t, q)
}

func TestAnOldMessageThatHoldsUpSettledOnesCrowds(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	opts := options(t, testkit.SharedKafka(t).Brokers)
	opts.Partitions = 1
	opts.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	q := open(t, opts)
	publish(t, q, messages(domain.LaneLow, 3))
	got := receive(t, q, 3)
	settle(q, got[1])
	ahead.Store(int64(time.Hour))
	crowds := func(r ports.Received) bool {
		select {
		case <-r.Crowded:
			return true
		default:
			return false
		}
	}
	until(t, "the first one crowds", func() bool { return crowds(got[0]) })
	require.False(t, crowds(got[2]), "it holds up nobody")
	settle(q, got[0], got[2])
	settled(t, q)
}

func TestABatchThatIsTooLargeIsSentMessageByMessage(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	opts.Partitions = 1
	q := open(t, opts)
	lowered, err := admin(t, brokers).IncrementalAlterConfigs(t.Context(), &kafkago.IncrementalAlterConfigsRequest{
		Resources: []kafkago.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: opts.Topic,
			Configs: []kafkago.IncrementalAlterConfigsRequestConfig{{
				Name: "max.message.bytes", Value: "10000", ConfigOperation: kafkago.ConfigOperationSet,
			}},
		}},
	})
	require.NoError(t, err)
	require.NoError(t, lowered.Resources[0].Error)
	tooLarge := func() ports.QueueMessage {
		m := messages(domain.LaneLow, 1)[0]
		m.Value = make([]byte, 20_000)
		return m
	}
	accepted := 0
	testkit.Until(t, "the broker knows of the limit", func() bool {
		err := q.Publish(t.Context(), []ports.QueueMessage{tooLarge()})[0]
		if err == nil {
			accepted++
		}
		return errors.Is(err, ports.ErrTooLarge)
	})
	if accepted > 0 {
		settle(q, receive(t, q, accepted)...)
	}
	sent := messages(domain.LaneLow, 30)
	for i := range sent {
		sent[i].Value = make([]byte, 1000)
	}
	sent[7] = tooLarge()
	for i, err := range q.Publish(t.Context(), sent) {
		if i == 7 {
			require.ErrorIs(t, err, ports.ErrTooLarge)
			continue
		}
		require.NoError(t, err)
	}
	sent = slices.Delete(sent, 7, 8)
	require.ElementsMatch(t, sentIDs(sent), ids(receive(t, q, len(sent))))
}
