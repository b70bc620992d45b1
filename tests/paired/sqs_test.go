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
	"github.com/openhqm/openhqm/tests/testkit"
)

// invisible is how soon SQS hands out again what a consumer had that has crashed: as short as it counts.
const invisible = time.Second

// pollers makes the connections of a test to SQS, over queues of its own.
type pollers struct {
	tb      testing.TB
	options sqs.Options
	network *network
	leaving sync.WaitGroup
}

func joinSQS(tb testing.TB, broker testkit.Broker) joined {
	tb.Helper()
	name := uniqueName("paired")
	p := &pollers{
		tb: tb, network: newNetwork(),
		options: sqs.Options{
			Region: "eu-central-1", Endpoint: "http://" + broker.Address(), Queue: name, HighQueue: name + "-high",
			CreateQueues: true,
			Retention:    200 * time.Hour, Visibility: invisible, MaxMessage: 1 << 20,
			Credentials: sqs.Credentials{KeyID: "test", Secret: "test"},
			Now:         time.Now, Logger: slog.New(slog.DiscardHandler),
		},
	}
	tb.Cleanup(p.leaving.Wait)
	return joined{
		join: p.join, setUp: p.network.setUp,
		joining: invisible, // until what a crashed one had read ahead is visible
	}
}

// join opens a queue, and returns what ends it as a crash does: nothing is handed back.
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
		_ = queue.Close() // nothing that it says gets through
	})
}
