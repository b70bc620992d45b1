package kafka_test

import (
	"context"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func outlet(t *testing.T, q *kafka.Queue, topic string) ports.Publisher {
	t.Helper()
	o, err := q.Outlet(t.Context(), topic)
	require.NoError(t, err)
	return o
}

func inlet(t *testing.T, q *kafka.Queue, topic string) ports.Receiver {
	t.Helper()
	in, err := q.Inlet(t.Context(), topic)
	require.NoError(t, err)
	return in
}

// publishIn publishes in another topic than those of requests.
func publishIn(t *testing.T, o ports.Publisher, all []ports.QueueMessage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, err := range o.Publish(ctx, all) {
		require.NoError(t, err, "message %d", i)
	}
}

// receiveFrom gets exactly n messages and settles them.
func receiveFrom(t *testing.T, in ports.Receiver, n int) []domain.ID {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []domain.ID
	for len(all) < n {
		some, err := in.Receive(ctx, n-len(all), 1<<40)
		require.NoErrorf(t, err, "after %d of %d messages", len(all), n)
		for _, r := range some {
			require.Equal(t, domain.LaneHigh, r.Lane)
			in.Settle([]ports.Ticket{r.Ticket})
		}
		all = append(all, ids(some)...)
	}
	return all
}

func TestForeignTopicsMustDo(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	opts.MaxMessage = 500_000
	q := open(t, opts)
	entry := func(name, value string) kafkago.ConfigEntry {
		return kafkago.ConfigEntry{ConfigName: name, ConfigValue: value}
	}
	forgetful, small := opts.Topic+"-forgetful", opts.Topic+"-small"
	makeTopic(t, brokers, forgetful, entry("retention.ms", "3600000"))
	makeTopic(t, brokers, small, entry("max.message.bytes", "1000"))
	tests := []struct {
		name, topic     string
		wantOut, wantIn string // in the error; "": there is none
	}{
		{"no name", "", "must not be empty", "must not be empty"},
		{"it will do", "fine-" + opts.Topic, "", ""},
		{"retention is too short", forgetful, "retention.ms", "retention.ms"},
		{"messages must be small", small, "max.message.bytes", ""},
	}
	for _, tt := range tests { // one after the other: they use the same queue
		_, outErr := q.Outlet(t.Context(), tt.topic)
		requireFault(t, outErr, tt.wantOut, tt.name)
		_, inErr := q.Inlet(t.Context(), tt.topic)
		requireFault(t, inErr, tt.wantIn, tt.name)
	}
	publish(t, q, messages(domain.LaneLow, 1)) // the topic that was refused does not matter any more
	healthy(t, q)
}

func TestAnInletNeedsAConsumerGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	for _, group := range []string{"", opts.Group} {
		opts.InletGroup = group
		_, err := open(t, opts).Inlet(t.Context(), opts.Topic+"-heard")
		require.ErrorContains(t, err, "consumer group of its own")
	}
}

// requireFault wants an error with a text, or none.
func requireFault(t *testing.T, err error, want, name string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err, name)
		return
	}
	require.ErrorContains(t, err, want, name)
}

func TestAForeignTopicThatIsDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	q, written, read := open(t, opts), opts.Topic+"-written", opts.Topic+"-read"
	out, in := outlet(t, q, written), inlet(t, q, read)
	publishIn(t, out, messages(domain.LaneLow, 5))
	first := messages(domain.LaneLow, 5)
	publishIn(t, outlet(t, q, read), first)
	require.ElementsMatch(t, sentIDs(first), receiveFrom(t, in, len(first)))
	deleteTopics(t, brokers, written, read)

	publishIn(t, out, messages(domain.LaneLow, 5))
	sent := messages(domain.LaneLow, 5)
	publishIn(t, outlet(t, q, read), sent)
	require.ElementsMatch(t, sentIDs(sent), receiveFrom(t, in, len(sent)))
	until(t, "it is made as before", func() bool { return setting(t, brokers, written, "retention.ms") == "345600000" })
}
