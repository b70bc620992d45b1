package kafka_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/queuesuite"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestQueueSuite(t *testing.T) {
	t.Parallel()
	queuesuite.Run(t, func(tb testing.TB, settings queuesuite.Settings) queuesuite.Harness {
		tb.Helper()
		var broker *testkit.Kafka
		h := queuesuite.Harness{Traits: queuesuite.Traits{SettledReturns: true}}
		if settings.OwnBroker {
			broker = testkit.StartKafka(tb, 1)
			h.Broker = queuesuite.Broker{Stop: func() { broker.Kill(0) }, Start: func() { broker.Restart(tb, 0) }}
		} else {
			broker = testkit.SharedKafka(tb)
		}
		opts := options(tb, broker.Brokers)
		opts.MaxMessage, opts.SessionTimeout, opts.Logger = settings.MaxMessage, settings.Takeover, settings.Logger
		h.Purge = func() { broker.Purge(tb, opts.Topic, opts.HighTopic) }
		h.Other = opts.Topic + "-others"
		h.Open = func() (queuesuite.Process, error) {
			q := open(tb, opts)
			return queuesuite.Process{Carrier: q, Crash: func() { kafka.Vanish(q) }}, nil
		}
		h.AwaitReadAhead = func(c ports.Carrier, n int) {
			q, ok := c.(*kafka.Queue)
			require.True(tb, ok)
			ended, cancel := context.WithCancel(tb.Context())
			cancel()
			_, err := q.Receive(ended, 1, 1) // it joins the group
			require.ErrorIs(tb, err, context.Canceled)
			until(tb, "everything is read ahead", func() bool { return kafka.OnShelves(q) == n })
		}
		return h
	})
}
