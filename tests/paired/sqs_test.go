package paired_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestConformanceOfSQS(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind, its own alone
	testkit.SharedSQS(t) // before the suite counts goroutines
	conformance.Run(t, startSQSHarness)
}

func BenchmarkSQS(b *testing.B) {
	conformance.Benchmark(b, startSQSHarness)
}

// invisible is how soon SQS hands out again what a consumer had that has crashed: as short as it counts.
const invisible = time.Second

func startSQSHarness(tb testing.TB, settings conformance.Settings) conformance.Harness {
	tb.Helper()
	queues := newPollers(tb, testkit.SharedSQS(tb).URL)
	return newHarness(tb, settings, queues.join, queues.network.setUp, conformance.Traits{
		OriginalWithMessage: true,
		Joining:             invisible, // until what a crashed one had read ahead is visible
	})
}

// pollers makes the connections of a test to SQS, over queues of its own.
type pollers struct {
	tb      testing.TB
	options sqs.Options
	network *network
	leaving sync.WaitGroup
}

func newPollers(tb testing.TB, endpoint string) *pollers {
	tb.Helper()
	p := &pollers{
		tb: tb, network: newNetwork(),
		options: sqs.Options{
			Region: "eu-central-1", Endpoint: endpoint, Queue: uniqueName("paired"), CreateQueues: true,
			Retention: 200 * time.Hour, Visibility: invisible, MaxMessage: 1 << 20,
			Credentials: sqs.Credentials{KeyID: "test", Secret: "test"},
			Now:         time.Now, Logger: slog.New(slog.DiscardHandler),
		},
	}
	tb.Cleanup(p.leaving.Wait)
	return p
}

// join opens a queue, and what ends that as a crash does: nothing is handed back.
func (p *pollers) join() (ports.Carrier, func()) {
	l := &line{network: p.network}
	opts := p.options
	opts.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 64}}
	queue, err := sqs.Open(context.WithoutCancel(p.tb.Context()), opts)
	require.NoError(p.tb, err)
	p.leaving.Add(1)
	return queue, sync.OnceFunc(func() {
		defer p.leaving.Done()
		l.cut()
		_ = queue.Close() // it can say nothing any more
	})
}
