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

// pairedModule joins a broker with Redis.
func pairedModule() fx.Option {
	return fx.Provide(
		openStore,
		newPairedWork,
		newPairedIntake,
		func(
			config configs.Config, endpoints ports.Endpoints, queue ports.Carrier, db *redis.DB, b *brokers,
			logger *slog.Logger,
		) (exchanged, error) {
			return exchanging{
				config: config, endpoints: endpoints, broker: queue, store: db, brokers: b, logger: logger,
			}.loops()
		},
		findLosses,
		clockOf,
		func(db *redis.DB) (ports.Results, ports.DeadLetters, ports.Pauses) { return db, db.DeadLetters(), db },
		func(queue ports.Carrier, db *redis.DB) probes {
			return probes{Probes: []probe{{"queue", queue}, {"store", db}}}
		},
		joinPaired,
		func(queue *paired.Queue) drainHook { return drainHook{Run: queue.Leave} },
	)
}

// findLosses ends what the carrier has lost, in every role. What is handed over to other programs is whole in Redis.
func findLosses(config configs.Config, carrier ports.Carrier, db *redis.DB, logger *slog.Logger) background {
	if config.Queue.HandsOver() {
		return background{}
	}
	losses := paired.NewLosses(carrier, db, paired.LossOptions{
		Age: paired.SuspectAge, Every: paired.LookEvery, Logger: logger, Originals: config.Store.Originals,
	})
	return background{Loops: []backgroundLoop{{"search for lost messages", losses.Run}}}
}

// joinPaired joins the carrier with Redis.
func joinPaired(
	config configs.Config, endpoints ports.Endpoints, carrier ports.Carrier, db *redis.DB, logger *slog.Logger,
) *paired.Queue {
	return paired.Join(carrier, db, paired.Options{Reader: foreignReader(config, endpoints, logger), Now: time.Now})
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
	b *brokers, lc fx.Lifecycle, config configs.Config, rotations *rotations, observer ports.Observer,
	logger *slog.Logger, files descriptors, s *supervisor,
) (*redis.DB, error) {
	options, err := redisOptions(config, rotations, observer, logger)
	if err != nil {
		return nil, err
	}
	options.Connections = files.redis
	options.Lease, options.Originals = config.Lease(), config.Store.Originals
	options.Handover, options.HandoverOutbox = config.Queue.HandsOver(), config.Queue.HandsOver()
	return openDB(b, "store", lc, s, config, options)
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
