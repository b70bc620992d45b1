package paired_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
	"github.com/openhqm/openhqm/tests/testkit"
)

// joins has a line for each carrier.
var joins = map[string]func(testing.TB, testkit.Broker) joined{
	"kafka": joinKafka,
	"sqs":   joinSQS,
}

// joined is a queue of its own at a broker, which the processes of a test join.
type joined struct {
	join    func() (queue ports.Carrier, crash func()) // one process
	setUp   func(up bool)                              // takes the network away from all, or brings it back
	joining time.Duration                              // until a process that joins after a crash gets everything
}

// join makes one for a carrier.
func join(tb testing.TB, carrier testkit.Carrier, broker testkit.Broker) joined {
	tb.Helper()
	require.Contains(tb, joins, carrier.Name)
	return joins[carrier.Name](tb, broker)
}

//nolint:paralleltest // the suite looks for goroutines left behind, its own alone
func TestConformanceOfCarriers(t *testing.T) {
	for _, carrier := range testkit.Carriers() {
		t.Run(carrier.Name, func(t *testing.T) {
			carrier.Shared(t) // before the suite counts goroutines
			conformance.Run(t, harnessOn(carrier))
		})
	}
}

func BenchmarkCarriers(b *testing.B) {
	for _, carrier := range testkit.Carriers() {
		b.Run(carrier.Name, func(b *testing.B) { conformance.Benchmark(b, harnessOn(carrier)) })
	}
}

func harnessOn(carrier testkit.Carrier) func(testing.TB, conformance.Settings) conformance.Harness {
	return func(tb testing.TB, settings conformance.Settings) conformance.Harness {
		tb.Helper()
		j := join(tb, carrier, carrier.Shared(tb))
		return newHarness(tb, settings, j.join, j.setUp, conformance.Traits{
			OriginalWithMessage: true, ApproximateDepth: true, BroughtFirst: true, Joining: j.joining,
		})
	}
}

var lastName atomic.Int64

// uniqueName makes a name that nothing else has in this run.
func uniqueName(of string) string { return fmt.Sprintf("%s-%d", of, lastName.Add(1)) }
