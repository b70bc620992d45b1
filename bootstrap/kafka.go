package bootstrap

import (
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func kafkaModule() fx.Option {
	return fx.Module("kafka",
		fx.Provide(openKafka, func(queue *kafka.Queue) ports.Carrier { return queue }),
		pairedModule(func(config configs.Config) time.Duration { return config.Kafka.SessionTimeout }),
	)
}

// openKafka connects at once, not in a start hook: the adapters on top of it need it to be there.
func openKafka(
	start startContext, lc fx.Lifecycle, config configs.Config, logger *slog.Logger,
) (*kafka.Queue, error) {
	options, err := kafkaOptions(config, logger)
	if err != nil {
		return nil, err
	}
	queue, err := kafka.Open(start, options)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(queue.Close))
	return queue, nil
}

func kafkaOptions(config configs.Config, logger *slog.Logger) (kafka.Options, error) {
	section := &config.Kafka
	password, err := config.ResolveKafka()
	if err != nil {
		return kafka.Options{}, err
	}
	options := kafka.Options{
		Brokers:           section.Brokers,
		Topic:             config.Queue.Requests,
		Group:             section.Group,
		InletGroup:        section.Group + ".results",
		Partitions:        section.Partitions,
		ReplicationFactor: section.ReplicationFactor,
		Retention:         config.Request.MaxAge + minRetention,
		MaxMessage:        largestMessage(config),
		SessionTimeout:    section.SessionTimeout,
		Now:               time.Now,
		Logger:            logger,
	}
	if section.UsesTLS() {
		if options.TLS, err = tlsConfig(section.TLS); err != nil {
			return kafka.Options{}, fmt.Errorf("kafka.tls: %w", err)
		}
	}
	if section.UsesSASL() {
		options.SASL = kafka.SASL{
			Mechanism: section.SASL.Mechanism, Username: section.SASL.Username, Password: password,
		}
	}
	return options, nil
}
