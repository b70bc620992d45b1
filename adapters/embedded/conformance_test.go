package embedded_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/openhqm/openhqm/adapters/embedded"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind, its own alone
	conformance.Run(t, startHarness)
}

func BenchmarkEmbedded(b *testing.B) {
	conformance.Benchmark(b, startHarness)
}

func startHarness(tb testing.TB, settings conformance.Settings) conformance.Harness {
	tb.Helper()
	dir := tb.TempDir()
	open := func() (conformance.Instance, error) {
		db, err := embedded.Open(embedded.Options{
			Dir: dir, Lease: settings.Lease, TTL: settings.TTL, DeadLetterTTL: settings.DeadLetterTTL,
			Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return conformance.Instance{}, err
		}
		return conformance.Instance{
			Intake: db, Results: db, DeadLetters: db.DeadLetters(), Gauge: db, Close: db.Close,
			NewConsumer: func(ctx context.Context) ports.Work {
				w, _ := db.NewConsumer(ctx) // ends with the database at the latest
				return w
			},
		}, nil
	}
	return conformance.Harness{Open: open, Traits: conformance.Traits{OneProcess: true}}
}
