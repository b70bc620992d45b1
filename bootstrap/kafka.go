package bootstrap

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func kafkaModule() fx.Option {
	return fx.Module("kafka", kafkaCarrier(), pairedModule())
}

func kafkaCarrier() fx.Option {
	return fx.Provide(openKafka, func(queue *kafka.Queue) ports.Carrier { return queue })
}

// openKafka connects at once, not in a start hook: the adapters on top of it need it to be there.
func openKafka(
	b *brokers, lc fx.Lifecycle, config configs.Config, rotations *rotations, logger *slog.Logger,
) (*kafka.Queue, error) {
	var queue *kafka.Queue
	rotations.add("kafka", config.Kafka.Files(), func() error {
		secure, sasl, err := kafkaAccess(config)
		if err != nil {
			return err
		}
		return queue.Renew(secure, sasl)
	})
	var err error
	queue, err = await(b, "queue", func(ctx context.Context) (*kafka.Queue, error) {
		options, err := kafkaOptions(config, logger) // secrets may have changed while it was away
		if err != nil {
			return nil, err
		}
		return kafka.Open(ctx, options)
	})
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(queue.Close))
	return queue, nil
}

func kafkaOptions(config configs.Config, logger *slog.Logger) (kafka.Options, error) {
	section := &config.Kafka
	secure, sasl, err := kafkaAccess(config)
	if err != nil {
		return kafka.Options{}, err
	}
	return kafka.Options{
		Brokers:           section.Brokers,
		Topic:             config.Queue.Requests,
		HighTopic:         config.HighRequests(),
		Group:             section.Group,
		InletGroup:        section.Group + ".results",
		Partitions:        section.Partitions,
		ReplicationFactor: section.ReplicationFactor,
		Retention:         config.Request.MaxAge + minRetention,
		MaxMessage:        largestMessage(config),
		SessionTimeout:    section.SessionTimeout,
		TLS:               secure,
		SASL:              sasl,
		Now:               time.Now,
		Logger:            logger,
	}, nil
}

// kafkaAccess returns the TLS configuration and the user with its password, from what the files hold right now.
func kafkaAccess(config configs.Config) (secure *tls.Config, sasl kafka.SASL, err error) {
	section := &config.Kafka
	password, err := config.ResolveKafka()
	if err != nil {
		return nil, sasl, err
	}
	if section.UsesTLS() {
		if secure, err = tlsConfig(section.TLS); err != nil {
			return nil, sasl, fmt.Errorf("kafka.tls: %w", err)
		}
	}
	if section.UsesSASL() {
		sasl = kafka.SASL{Mechanism: section.SASL.Mechanism, Username: section.SASL.Username, Password: password}
	}
	return secure, sasl, nil
}
