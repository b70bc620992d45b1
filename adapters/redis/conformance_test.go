package redis_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind, its own alone
	conformance.Run(t, startHarness)
}

func BenchmarkRedis(b *testing.B) {
	conformance.Benchmark(b, startHarness)
}

func startHarness(tb testing.TB, settings conformance.Settings) conformance.Harness {
	tb.Helper()
	s := startServer(tb)
	return conformance.Harness{
		Open: func() (conformance.Instance, error) {
			return open(tb.Context(), redis.Options{
				URL: s.url(), Queue: "openhqm-requests", Shards: 1,
				Lease: settings.Lease, TTL: settings.TTL, DeadLetterTTL: settings.DeadLetterTTL,
				Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			})
		},
		StopBroker:  s.stop,
		StartBroker: s.start,
	}
}

func open(ctx context.Context, opts redis.Options) (conformance.Instance, error) {
	db, err := redis.Open(ctx, opts)
	if err != nil {
		return conformance.Instance{}, err
	}
	return conformance.Instance{
		Intake: db, Results: db, DeadLetters: db.DeadLetters(), Gauge: db, Pauses: db, Close: db.Close,
		NewConsumer: func(ctx context.Context) ports.Work {
			w, _ := db.NewConsumer(ctx) // ends with the database at the latest
			return w
		},
	}, nil
}
