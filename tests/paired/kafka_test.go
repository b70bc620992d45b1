package paired_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestConformanceOfKafka(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind, its own alone
	testkit.SharedKafka(t) // before the suite counts goroutines
	conformance.Run(t, startKafkaHarness)
}

func BenchmarkKafka(b *testing.B) {
	conformance.Benchmark(b, startKafkaHarness)
}

// missed is how soon Kafka misses a member that has crashed: as short as the broker of testkit allows.
const missed = time.Second

func startKafkaHarness(tb testing.TB, settings conformance.Settings) conformance.Harness {
	tb.Helper()
	queues := newMembers(tb, testkit.SharedKafka(tb).Brokers)
	return newHarness(tb, settings, queues.join, queues.network.setUp, conformance.Traits{
		OriginalWithMessage: true,
		Joining:             2 * missed, // until a crash is missed, and all the others have joined anew
	})
}

// members makes the connections of a test to Kafka, over topics and a group of its own.
type members struct {
	tb      testing.TB
	options kafka.Options
	network *network
	leaving sync.WaitGroup
}

var lastName atomic.Int64

// uniqueName makes a name that nothing else has in this run.
func uniqueName(of string) string { return fmt.Sprintf("%s-%d", of, lastName.Add(1)) }

func newMembers(tb testing.TB, brokers []string) *members {
	tb.Helper()
	name := uniqueName("paired")
	m := &members{
		tb: tb, network: newNetwork(),
		options: kafka.Options{
			Brokers: brokers, Topic: name, Group: name, Partitions: 4, Retention: 200 * time.Hour, MaxMessage: 1 << 20,
			SessionTimeout: missed, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		},
	}
	tb.Cleanup(m.leaving.Wait)
	return m
}

// join opens a queue, and what ends that as a crash does: the group is not told.
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
		_ = queue.Close() // it can say nothing any more
	})
}
