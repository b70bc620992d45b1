package paired_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// missed is how soon Kafka misses a member that has crashed: as short as the broker of testkit allows.
const missed = time.Second

// members makes the connections of a test to Kafka, over topics and a group of its own.
type members struct {
	tb      testing.TB
	options kafka.Options
	network *network
	leaving sync.WaitGroup
}

func joinKafka(tb testing.TB, broker testkit.Broker) joined {
	tb.Helper()
	m := newMembers(tb, uniqueName("paired"), strings.Split(broker.Address(), ","), 1<<20)
	return joined{
		join: m.join, setUp: m.network.setUp,
		joining: 2 * missed, // until a crash is noticed, and all other members have joined again
	}
}

func newMembers(tb testing.TB, name string, brokers []string, maxMessage int) *members {
	tb.Helper()
	m := &members{
		tb: tb, network: newNetwork(),
		options: kafka.Options{
			Brokers: brokers, Topic: name, HighTopic: name + ".high", Group: name, InletGroup: name + "-inlets",
			Partitions: 4, Retention: 200 * time.Hour, MaxMessage: maxMessage, SessionTimeout: missed,
			Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		},
	}
	tb.Cleanup(m.leaving.Wait)
	return m
}

// openKeyed connects to a carrier that keeps ids beside messages, until the test ends. Limit is that of a message in
// bytes.
func openKeyed(t *testing.T, queue string, limit int) ports.Carrier {
	t.Helper()
	opts := newMembers(t, queue, testkit.SharedKafka(t).Brokers, limit).options
	q, err := kafka.Open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

// join opens a queue, and returns what ends it as a crash does: it does not leave the group.
func (m *members) join() (ports.Carrier, func()) {
	l := &line{network: m.network}
	opts := m.options
	opts.Dial = l.dial
	queue, err := kafka.Open(context.WithoutCancel(m.tb.Context()), opts)
	require.NoError(m.tb, err)
	m.leaving.Add(1)
	return queue, sync.OnceFunc(func() {
		defer m.leaving.Done()
		l.cut()
		_ = queue.Close() // nothing that it says gets through
	})
}
