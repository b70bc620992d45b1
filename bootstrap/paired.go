package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// pairedModule joins a broker with Redis. Lease is how long Redis waits for a worker that gives no sign of life.
func pairedModule(lease func(configs.Config) time.Duration) fx.Option {
	return fx.Provide(
		func(
			start startContext, lc fx.Lifecycle, c configs.Config, observer ports.Observer, logger *slog.Logger,
		) (*redis.DB, error) {
			return openStore(start, lc, c, lease(c), observer, logger)
		},
		newPairedWork,
		newPairedIntake,
		func(config configs.Config, queue ports.Carrier, db *redis.DB, logger *slog.Logger) (background, error) {
			return exchanging{config: config, broker: queue, store: db, logger: logger}.loops()
		},
		func(db *redis.DB) (ports.Results, ports.DeadLetters) { return db, db.DeadLetters() },
		func(queue ports.Carrier, db *redis.DB) probes {
			return probes{Probes: []probe{{"queue", queue}, {"store", db}}}
		},
		joinPaired,
		func(queue *paired.Queue) drainHook { return drainHook{Run: queue.Leave} },
	)
}

// joinPaired joins the carrier with Redis.
func joinPaired(config configs.Config, carrier ports.Carrier, db *redis.DB) *paired.Queue {
	return paired.Join(carrier, db, paired.Options{Reader: foreignReader(config), Now: time.Now})
}

// newPairedIntake lets the carrier have what our own workers do. For other programs Redis keeps the requests until they
// are handed over, and until they are final.
func newPairedIntake(config configs.Config, queue *paired.Queue, db *redis.DB) (ports.Intake, ports.Gauge) {
	if config.Queue.HandsOver() {
		return db, db
	}
	return queue.Intake(), queue.Gauge()
}

// newPairedWork also keeps the carrier moving, as long as there are workers.
func newPairedWork(lc fx.Lifecycle, queue *paired.Queue, db *redis.DB, s *supervisor) ports.Work {
	return consume(lc, func(ctx context.Context) (*paired.Work, func()) {
		consumer, wait := db.NewConsumer(ctx)
		work := queue.NewWork(consumer)
		offload := s.start("offload of crowded messages", work.Run)
		return work, func() {
			offload.stop()
			<-offload.done
			wait()
		}
	})
}

// openStore opens Redis for the records of requests that a broker carries.
func openStore(
	start startContext, lc fx.Lifecycle, config configs.Config, lease time.Duration, observer ports.Observer,
	logger *slog.Logger,
) (*redis.DB, error) {
	options, err := redisOptions(config, observer, logger)
	if err != nil {
		return nil, err
	}
	options.Lease = lease
	options.Handover, options.HandoverOutbox = config.Queue.HandsOver(), config.Queue.HandsOver()
	db, err := redis.Open(start, options)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(db.Close))
	return db, nil
}

// largestMessage is the size of what a broker is to carry, in bytes. Other programs get all of a request there, while
// our own workers find in Redis what is larger than messages should be.
func largestMessage(config configs.Config) int {
	body := configs.ByteSize(envelope.MaxInlineBody)
	if config.Queue.HandsOver() {
		body = max(body, config.Server.MaxBodySize)
	}
	return messageSize(body)
}
