package bootstrap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func redisModule() fx.Option {
	return fx.Module("redis", fx.Provide(
		openRedis,
		func(lc fx.Lifecycle, db *redis.DB) ports.Work { return consume(lc, db.NewConsumer) },
		func(
			config configs.Config, endpoints ports.Endpoints, db *redis.DB, b *brokers, logger *slog.Logger,
		) (exchanged, error) {
			return exchanging{
				config: config, endpoints: endpoints, broker: db, store: db, native: true, brokers: b, logger: logger,
			}.loops()
		},
		func(db *redis.DB) (ports.Intake, ports.Results, ports.Gauge) { return db, db, db },
		func(db *redis.DB) (ports.DeadLetters, ports.Pauses) { return db.DeadLetters(), db },
		clockOf,
		func(db *redis.DB) probes { return probes{Probes: []probe{{"queue", db}, {"store", db}}} },
	))
}

func clockOf(db *redis.DB) storeClock { return storeClock{now: db.Now, skew: db.ClockSkew} }

// openRedis connects at once, not in a start hook: the adapters on top of it need it to be there.
func openRedis(
	b *brokers, lc fx.Lifecycle, config configs.Config, rotations *rotations, observer ports.Observer,
	logger *slog.Logger, files descriptors, s *supervisor,
) (*redis.DB, error) {
	options, err := redisOptions(config, rotations, observer, logger)
	if err != nil {
		return nil, err
	}
	options.Connections = files.redis
	options.Handover = config.Queue.HandsOver()
	return openDB(b, "queue", lc, s, config, options)
}

// openDB opens Redis as that component for a queue.type, unless another one still has work.
func openDB(
	b *brokers, component string, lc fx.Lifecycle, s *supervisor, config configs.Config, options redis.Options,
) (*redis.DB, error) {
	return await(b, component, func(ctx context.Context) (*redis.DB, error) {
		url, secure, err := redisAccess(config) // which may have changed while it was away
		if err != nil {
			return nil, err
		}
		if err := options.Access.Renew(url, secure); err != nil {
			return nil, err
		}
		db, err := redis.Open(ctx, options)
		if err != nil {
			return nil, err
		}
		if err := db.Claim(ctx, config.Queue.Type); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		moves := s.start("redis", db.AwaitMove)
		lc.Append(fx.StopHook(func(ctx context.Context) error {
			if err := moves.end(ctx); err != nil {
				return err
			}
			return db.Close()
		}))
		return db, nil
	})
}

// redisOptions are those of the configuration, whatever carries the requests.
func redisOptions(
	config configs.Config, rotations *rotations, observer ports.Observer, logger *slog.Logger,
) (redis.Options, error) {
	access := new(redis.Access)
	rotations.add("redis", config.Redis.Files(), func() error {
		url, secure, err := redisAccess(config)
		if err != nil {
			return err
		}
		return access.Renew(url, secure)
	})
	url, secure, err := redisAccess(config)
	if err != nil {
		return redis.Options{}, err
	}
	if unverified(url) {
		logger.Warn("redis.url has skip_verify: whoever is in between can read and change everything; " +
			"set redis.tls.ca_file instead")
	}
	return redis.Options{
		URL:           url,
		TLS:           secure,
		Access:        access,
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
		Retention:     max(config.Request.MaxAge+minRetention, config.Store.DeadLetterTTL),
		MostEntries:   map[string]int64{config.Queue.Responses: int64(config.Queue.ResponsesMax)},
	}, nil
}

// unverified reports whether certificates of a Redis are not checked. What the URL is, it repeats nowhere.
func unverified(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "rediss" && u.Query().Get("skip_verify") == "true"
}

// redisAccess returns the URL and the TLS configuration, from what the files hold right now.
func redisAccess(config configs.Config) (url string, secure *tls.Config, err error) {
	if url, err = config.ResolveRedis(); err != nil {
		return "", nil, err
	}
	if secure, err = tlsConfig(config.Redis.TLS); err != nil {
		return "", nil, fmt.Errorf("redis.tls: %w", err)
	}
	return url, secure, nil
}

// minRetention is for how long messages stay at least, on top of the longest life of a request.
const minRetention = 24 * time.Hour
