package conformance_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/openhqm/openhqm/adapters/embedded"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
)

// The test of a new backend is one line and a function that starts it. Copy this file into the folder of the backend,
// turn TestConformance into a function of its own, and open your backend where this one opens the embedded queue.
func ExampleRun() {
	TestConformance := func(t *testing.T) { conformance.Run(t, startMyQueue) }
	_ = TestConformance
	// Output:
}

// startMyQueue returns a harness over fresh, empty storage. What it starts must end with tb: with tb.Cleanup, or as
// here with a temporary folder.
func startMyQueue(tb testing.TB, settings conformance.Settings) conformance.Harness {
	tb.Helper()
	dir := tb.TempDir()
	open := func() (conformance.Instance, error) {
		db, err := embedded.Open(embedded.Options{
			CacheBytes: 8 << 20, MemTableBytes: 4 << 20,
			Dir: dir, Lease: settings.Lease, TTL: settings.TTL, DeadLetterTTL: settings.DeadLetterTTL,
			Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return conformance.Instance{}, err
		}
		return conformance.Instance{
			Intake: db, Results: db, DeadLetters: db.DeadLetters(), Gauge: db, Close: db.Close,
			NewConsumer: func(ctx context.Context) ports.Work {
				consumer, _ := db.NewConsumer(ctx) // also ends with the database
				return consumer
			},
		}, nil
	}
	// A trait is an honest difference: here, that no second process can open the same folder. A backend without
	// StopBroker and StartBroker has no broker that could go away.
	return conformance.Harness{Open: open, Traits: conformance.Traits{OneProcess: true}}
}
