package kafka_test

import (
	"context"
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

func TestWhatIsPublishedIsReceivedAndSettledOnce(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	q := open(t, opts)
	sent := slices.Concat(messages(domain.LaneLow, 100), messages(domain.LaneHigh, 100))
	publish(t, q, sent)

	got := receive(t, q, len(sent))
	byID := make(map[domain.ID]ports.Received)
	for _, r := range got {
		byID[r.ID] = r
	}
	places := make(map[string]bool)
	for _, m := range sent {
		r := byID[m.ID]
		require.Equal(t, m, r.QueueMessage)
		require.WithinDuration(t, time.Now(), r.Arrived, patience)
		require.NoError(t, r.Lost.Err())
		places[r.Place] = true
	}
	require.Len(t, places, len(sent), "every message lies in a place of its own")

	lag, err := q.Lag(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, len(sent), lag.Messages)
	require.WithinDuration(t, time.Now(), lag.Oldest, patience)
	settle(q, got...)
	settled(t, q)
	require.NoError(t, q.Close())

	again := open(t, opts)
	more := messages(domain.LaneLow, 10)
	publish(t, again, more)
	require.ElementsMatch(t, sentIDs(more), ids(receive(t, again, len(more))), "what was settled does not come again")
}

func TestReceiveKeepsToCountAndBytes(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedKafka(t).Brokers))
	sent := messages(domain.LaneLow, 20)
	for i := range sent {
		sent[i].Value = make([]byte, 1000)
	}
	publish(t, q, sent)
	for left := len(sent); left > 0; {
		got, err := q.Receive(t.Context(), 5, 2500)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got), 2)
		left -= len(got)
	}
	large := messages(domain.LaneLow, 1)
	large[0].Value = make([]byte, 5000)
	publish(t, q, large)
	got, err := q.Receive(t.Context(), 5, 2500)
	require.NoError(t, err)
	require.Equal(t, sentIDs(large), ids(got), "a first one is given even when it is larger")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ports.ErrInterrupted)
	_, err = q.Receive(ctx, 1, 1)
	require.ErrorIs(t, err, ports.ErrInterrupted)
}

func TestTheHighLaneGoesFirstAndTheLowOneIsNotStarved(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedKafka(t).Brokers))
	low, high := messages(domain.LaneLow, 50), messages(domain.LaneHigh, 400)
	warm := messages(domain.LaneLow, 1)
	publish(t, q, warm)
	settle(q, receive(t, q, 1)...) // the group is joined, so what comes is read ahead
	publish(t, q, slices.Concat(low, high))
	until(t, "everything is read ahead", func() bool { return kafka.OnShelves(q) == len(low)+len(high) })

	got := receive(t, q, 80)
	lows := 0
	for i, r := range got {
		if r.Lane == domain.LaneLow {
			lows++
		}
		require.LessOrEqual(t, lows, i/domain.LowLaneShare+1)
		require.GreaterOrEqual(t, lows, (i+1)/domain.LowLaneShare-1)
	}
	require.Equal(t, 80/domain.LowLaneShare, lows)
}

func TestMoreIsInFlightThanThereArePartitions(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedKafka(t).Brokers))
	sent := messages(domain.LaneLow, 500)
	publish(t, q, sent)
	got := receive(t, q, len(sent)) // none is settled yet
	slices.Reverse(got)
	for _, r := range got {
		settle(q, r)
	}
	settled(t, q)
}

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

func TestAnOversizedMessageIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	opts.MaxMessage = 200_000
	q := open(t, opts)
	sent := messages(domain.LaneLow, 20)
	for i := range sent {
		sent[i].Value = make([]byte, opts.MaxMessage) // each fills a batch
	}
	sent[7].Value = make([]byte, opts.MaxMessage+1)
	for i, err := range q.Publish(t.Context(), sent) {
		if i == 7 {
			require.ErrorIs(t, err, ports.ErrTooLarge)
			continue
		}
		require.NoError(t, err)
	}
	got := receive(t, q, len(sent)-1)
	require.NotContains(t, ids(got), sent[7].ID)
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
	sent := messages(domain.LaneLow, 30)
	for i := range sent {
		sent[i].Value = make([]byte, 1000)
	}
	sent[7].Value = make([]byte, 20_000)
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

func TestEverythingAnswersAfterClose(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedKafka(t).Brokers))
	publish(t, q, messages(domain.LaneLow, 2))
	got := receive(t, q, 1)
	waiting := make(chan error)
	go func() {
		for {
			if _, err := q.Receive(context.Background(), 10, 10); err != nil {
				waiting <- err
				return
			}
		}
	}()
	q.Leave()
	require.ErrorIs(t, <-waiting, ports.ErrClosed)
	require.ErrorIs(t, context.Cause(got[0].Lost), ports.ErrLost)
	publish(t, q, messages(domain.LaneLow, 1)) // who has left may still publish
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	for _, err := range q.Publish(t.Context(), messages(domain.LaneLow, 2)) {
		require.ErrorIs(t, err, ports.ErrClosed)
	}
	_, err := q.Receive(t.Context(), 1, 1)
	require.ErrorIs(t, err, ports.ErrClosed)
	require.ErrorIs(t, q.Probe(t.Context()), ports.ErrClosed)
	settle(q, got...)
}
