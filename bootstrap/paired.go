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
			lc fx.Lifecycle, c configs.Config, observer ports.Observer, logger *slog.Logger,
		) (*redis.DB, error) {
			return openStore(lc, c, lease(c), observer, logger)
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
		func() *members { return &members{} },
		func(queue ports.Carrier, m *members) farewell { return farewell{Say: func() { m.leave(queue) }} },
	)
}

// newPairedIntake lets the broker carry what our own workers do. For those of others Redis has the requests until they
// are handed over and until they are final.
func newPairedIntake(config configs.Config, queue ports.Carrier, db *redis.DB) (ports.Intake, ports.Gauge) {
	if config.Queue.HandsOver() {
		return db, db
	}
	return paired.NewIntake(queue, db, time.Now), paired.NewGauge(queue, db)
}

// members are what receives from a broker in this process; none where it has no workers.
type members struct{ work *paired.Work }

// yieldTimeout is how long what a process holds may take to get into the store when the process ends.
const yieldTimeout = 5 * time.Second

// leave gives others at once what this process has not begun, while calls still run. What it has begun they leave to
// it: the store says whose it is.
func (m *members) leave(queue ports.Carrier) {
	if m.work != nil {
		ctx, cancel := context.WithTimeout(context.Background(), yieldTimeout)
		defer cancel()
		m.work.Yield(ctx)
	}
	queue.Leave()
}

// newPairedWork also keeps the queue moving, as long as there are workers.
func newPairedWork(
	lc fx.Lifecycle, config configs.Config, queue ports.Carrier, db *redis.DB, m *members, s *supervisor,
) ports.Work {
	return consume(lc, func(ctx context.Context) (*paired.Work, func()) {
		consumer, wait := db.NewConsumer(ctx)
		work := paired.NewWork(foreignReader(config), queue, db, consumer)
		m.work = work
		offload := s.start("offload of crowded messages", work.Run)
		return work, func() {
			offload.tell()
			<-offload.done
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
	options.Handover, options.HandoverOutbox = config.Queue.HandsOver(), config.Queue.HandsOver()
	db, err := redis.Open(context.Background(), options)
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
