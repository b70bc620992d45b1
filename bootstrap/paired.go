package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// broker is a queue that only carries messages; the records are in Redis.
type broker interface {
	ports.Queue
	ports.Lagging
	ports.Probe

	// Leave gives others at once what this process has received and not settled.
	Leave()
}

// pairedModule joins a broker with Redis. Lease is how long Redis waits for a worker that gives no sign of life.
func pairedModule(lease func(configs.Config) time.Duration) fx.Option {
	return fx.Provide(
		func(lc fx.Lifecycle, c configs.Config, observer ports.Observer, logger *slog.Logger) (*redis.DB, error) {
			return openStore(lc, c, lease(c), observer, logger)
		},
		newPairedWork,
		func(queue broker, db *redis.DB) ports.Intake { return paired.NewIntake(queue, db, time.Now) },
		func(queue broker, db *redis.DB) ports.Gauge { return paired.NewGauge(queue, db) },
		func(db *redis.DB) (ports.Results, ports.DeadLetters) { return db, db.DeadLetters() },
		func(queue broker, db *redis.DB) probes {
			return probes{Probes: []probe{{"queue", queue}, {"store", db}}}
		},
		// While calls still run, others get what this process has not begun. What it has begun they leave to it: the
		// store says whose it is.
		func(queue broker) farewell { return farewell{Say: queue.Leave} },
	)
}

// newPairedWork also keeps the queue moving, as long as there are workers.
func newPairedWork(lc fx.Lifecycle, config configs.Config, queue broker, db *redis.DB, s *supervisor) ports.Work {
	return consume(lc, func(ctx context.Context) (*paired.Work, func()) {
		consumer, wait := db.NewConsumer(ctx)
		work := paired.NewWork(foreignReader(config), queue, db, consumer)
		relief := s.start("relief of the queue", work.Run)
		return work, func() {
			relief.tell()
			<-relief.done
			wait()
		}
	})
}

// openStore opens Redis for the records of requests that a broker carries.
func openStore(
	lc fx.Lifecycle, config configs.Config, lease time.Duration, observer ports.Observer, logger *slog.Logger,
) (*redis.DB, error) {
	options, err := redisOptions(config, observer, logger)
	if err != nil {
		return nil, err
	}
	options.Lease = lease
	db, err := redis.Open(context.Background(), options)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(db.Close))
	return db, nil
}
