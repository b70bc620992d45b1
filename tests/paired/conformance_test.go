// Package paired_test holds what joins a queue and a store to the contracts of the ports, with a real Redis for the
// store and the nastiest of brokers for the queue.
package paired_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
	"github.com/openhqm/openhqm/tests/memorycarrier"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind, its own alone
	conformance.Run(t, startHarness)
}

func BenchmarkPaired(b *testing.B) {
	conformance.Benchmark(b, startHarness)
}

func startHarness(tb testing.TB, settings conformance.Settings) conformance.Harness {
	tb.Helper()
	broker := nastyBroker()
	setUp := func(up bool) { broker.SetAway(!up) }
	return newHarness(tb, settings, joining(broker), setUp, conformance.Traits{
		OriginalWithMessage: true, ApproximateDepth: true, BroughtFirst: true,
	})
}

// nastyBroker makes a broker that does all to its users that a broker may do.
func nastyBroker() *memorycarrier.Broker {
	return memorycarrier.New(memorycarrier.Options{Mishaps: memorycarrier.Nasty()})
}

// requests is the queue of requests at it.
const requests = "requests"

// joining connects processes to the broker. To leave it is to crash.
func joining(broker *memorycarrier.Broker) func() (ports.Carrier, func()) {
	return func() (ports.Carrier, func()) {
		c := broker.Join(requests)
		return c, c.Crash
	}
}

// newHarness makes a harness of a Redis and of a queue that is joined and, with Redis, taken away and brought back.
func newHarness(
	tb testing.TB, settings conformance.Settings,
	join func() (carrier ports.Carrier, leave func()), setUp func(up bool), traits conformance.Traits,
) conformance.Harness {
	tb.Helper()
	server := testkit.StartRedis(tb)
	return conformance.Harness{
		Open: func() (conformance.Instance, error) {
			return open(tb.Context(), join, redis.Options{
				URL: server.URL(), Queue: "openhqm-requests", Shards: 1,
				Lease: settings.Lease, TTL: settings.TTL, DeadLetterTTL: settings.DeadLetterTTL,
				Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			})
		},
		StopBroker: func() error {
			setUp(false)
			server.Kill()
			return nil
		},
		StartBroker: func() error {
			server.Restart()
			setUp(true)
			return nil
		},
		Traits: traits,
	}
}

// reader is how messages are read in all tests.
func reader() *exchange.Reader {
	documents := envelope.Reader{DefaultEndpoint: "orders", MaxAge: 100 * time.Hour, MaxSize: 20 << 20}
	return exchange.NewReader(func() envelope.Reader { return documents }, time.Now, slog.New(slog.DiscardHandler))
}

// open opens what production has: a process that accepts requests, and another one for each consumer. Join connects a
// process to the carrier; to leave is to crash.
func open(
	ctx context.Context, join func() (carrier ports.Carrier, leave func()), opts redis.Options,
) (conformance.Instance, error) {
	db, err := redis.Open(ctx, opts)
	if err != nil {
		return conformance.Instance{}, err
	}
	life, end := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	carrier, leave := join()
	process := func(carrier ports.Carrier) *paired.Queue {
		return paired.Join(carrier, db, paired.Options{Reader: reader(), Now: time.Now})
	}
	api := process(carrier)
	return conformance.Instance{
		Intake: api.Intake(), Results: db, DeadLetters: db.DeadLetters(), Gauge: api.Gauge(), Pauses: db,
		NewConsumer: func(ctx context.Context) ports.Work {
			alive, die := context.WithCancel(ctx)
			context.AfterFunc(life, die)
			consumer, _ := db.NewConsumer(alive) // ends with the database at the latest
			carrier, leave := join()
			context.AfterFunc(alive, leave)
			work := process(carrier).NewWork(consumer)
			loops.Go(func() { _ = work.Run(alive) })
			return work
		},
		Close: func() error {
			end()
			leave()
			err := db.Close()
			loops.Wait()
			return err
		},
	}, nil
}
