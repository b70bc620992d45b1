package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func redisModule() fx.Option {
	return fx.Module("redis", fx.Provide(
		openRedis,
		consumeRedis,
		redisLoops,
		func(db *redis.DB) (ports.Intake, ports.Results, ports.Gauge) { return db, db, db },
		func(db *redis.DB) ports.DeadLetters { return db.DeadLetters() },
		func(db *redis.DB) probes { return probes{Probes: []probe{{"queue", db}, {"store", db}}} },
	))
}

// openRedis connects at once, not in a start hook: the adapters on top of it need it to be there.
func openRedis(
	lc fx.Lifecycle, config configs.Config, observer ports.Observer, logger *slog.Logger,
) (*redis.DB, error) {
	url, err := config.ResolveRedis()
	if err != nil {
		return nil, err
	}
	db, err := redis.Open(context.Background(), redis.Options{
		URL:           url,
		Queue:         config.Queue.Requests,
		Shards:        config.Redis.Shards,
		WaitReplicas:  config.Redis.WaitReplicas,
		MaxDepth:      int64(config.Queue.MaxDepth),
		Lease:         config.Queue.Lease,
		TTL:           config.Store.TTL,
		DeadLetterTTL: config.Store.DeadLetterTTL,
		Now:           time.Now,
		Ended:         observer.Ended,
		Logger:        logger,
	})
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(db.Close))
	return db, nil
}

func consumeRedis(lc fx.Lifecycle, db *redis.DB) ports.Work {
	ctx, cancel := context.WithCancel(context.Background())
	consumer, wait := db.NewConsumer(ctx)
	lc.Append(fx.StopHook(func() {
		cancel()
		wait()
	}))
	return consumer
}

// redisLoops are what a process does for messages of other programs, by its role.
func redisLoops(config configs.Config, db *redis.DB) background {
	var loops []backgroundLoop
	if config.Role != configs.RoleAPI {
		options := redis.RouterOptions{
			DefaultEndpoint: defaultEndpoint(config),
			MaxAge:          config.Request.MaxAge,
			MaxSize:         messageSize(config.Server.MaxBodySize),
		}
		loops = append(loops, backgroundLoop{"messages of others", func(ctx context.Context) error {
			return db.Route(ctx, options)
		}})
	}
	return background{Loops: loops}
}

// messageSize is the size of the largest message in bytes: a body in base64 (RFC 4648 section 4) and what is around it.
func messageSize(body configs.ByteSize) int { return int(body)/3*4 + aroundBody }

// aroundBody is room for header fields and metadata at their limits.
const aroundBody = 512 << 10
