package bootstrap

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

func redisModule() fx.Option {
	return fx.Module("redis", fx.Provide(
		openRedis,
		func(lc fx.Lifecycle, db *redis.DB) ports.Work { return consume(lc, db.NewConsumer) },
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
	options, err := redisOptions(config, observer, logger)
	if err != nil {
		return nil, err
	}
	options.Handover = config.Queue.HandsOver()
	db, err := redis.Open(context.Background(), options)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(db.Close))
	return db, nil
}

// redisOptions are those of the configuration, whatever carries the requests.
func redisOptions(config configs.Config, observer ports.Observer, logger *slog.Logger) (redis.Options, error) {
	url, err := config.ResolveRedis()
	if err != nil {
		return redis.Options{}, err
	}
	secure, err := tlsConfig(config.Redis.TLS)
	if err != nil {
		return redis.Options{}, fmt.Errorf("redis.tls: %w", err)
	}
	return redis.Options{
		URL:              url,
		TLS:              secure,
		Queue:            config.Queue.Requests,
		Shards:           config.Redis.Shards,
		WaitReplicas:     config.Redis.WaitReplicas,
		MaxDepth:         int64(config.Queue.MaxDepth),
		Lease:            config.Queue.Lease,
		TTL:              config.Store.TTL,
		DeadLetterTTL:    config.Store.DeadLetterTTL,
		Now:              time.Now,
		Ended:            observer.Ended,
		Logger:           logger,
		Responses:        config.Queue.Responses,
		DeadLetterStream: config.Queue.DeadLetters,
		Retention:        max(config.Request.MaxAge+minRetention, config.Store.DeadLetterTTL),
		ResultURL: func(id domain.ID) string {
			return httpapi.ResultURL(config.Server.PublicURL, id)
		},
		LetterURL: func(id domain.ID) string {
			return httpapi.LetterURL(config.Server.PublicURL, id)
		},
	}, nil
}

// minRetention is for how long messages stay at least, on top of the longest life of a request.
const minRetention = 24 * time.Hour

// redisLoops are what a process does for messages of other programs, and for those who are told of ours.
func redisLoops(config configs.Config, db *redis.DB) background {
	var loops []backgroundLoop
	if config.Role != configs.RoleAPI {
		loops = append(loops, backgroundLoop{"requests of others", func(ctx context.Context) error {
			return db.Route(ctx, foreignReader(config))
		}})
	}
	if config.Queue.HandsOver() {
		options := redis.ResultsInOptions{
			Stream: config.Queue.ResultsIn, MaxSize: messageSize(config.Proxy.MaxResponseSize),
		}
		loops = append(loops, backgroundLoop{"results of others", func(ctx context.Context) error {
			return db.StoreResults(ctx, options)
		}})
	}
	if config.Queue.Responses != "" || config.Queue.DeadLetters != "" {
		loops = append(loops, backgroundLoop{"telling others", db.Relay})
	}
	return background{Loops: loops}
}

// foreignReader reads messages of requests that others may have written.
func foreignReader(config configs.Config) envelope.Reader {
	return envelope.Reader{
		DefaultEndpoint: defaultEndpoint(config),
		MaxAge:          config.Request.MaxAge,
		MaxSize:         messageSize(config.Server.MaxBodySize),
	}
}

// messageSize is the size of the largest message in bytes: a body in base64 (RFC 4648 section 4) and what is around it.
func messageSize(body configs.ByteSize) int { return int(body)/3*4 + aroundBody }

// aroundBody is room for header fields and metadata at their limits.
const aroundBody = 512 << 10
