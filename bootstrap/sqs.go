package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func sqsModule() fx.Option {
	return fx.Module("sqs", sqsCarrier(), pairedModule())
}

func sqsCarrier() fx.Option {
	return fx.Provide(openSQS, func(queue *sqs.Queue) ports.Carrier { return queue })
}

// checkSQS looks for the region where tools of Amazon look for it.
func checkSQS(config configs.Config) error {
	if err := sqs.CheckRegion(config.SQS.Region); err != nil {
		return config.Refuse("sqs.region", err.Error())
	}
	return nil
}

// openSQS looks for the queues at once, not in a start hook: the adapters on top of them need them to be there.
func openSQS(
	b *brokers, lc fx.Lifecycle, config configs.Config, logger *slog.Logger,
) (*sqs.Queue, error) {
	queue, err := await(b, "queue", func(ctx context.Context) (*sqs.Queue, error) {
		return sqs.Open(ctx, sqs.Options{
			Region:       config.SQS.Region,
			Endpoint:     config.SQS.Endpoint,
			Queue:        config.Queue.Requests,
			HighQueue:    config.HighRequests(),
			CreateQueues: config.SQS.CreateQueues,
			Retention:    config.Request.MaxAge + minRetention,
			Visibility:   config.Queue.Lease,
			MaxMessage:   largestMessage(config),
			Now:          time.Now,
			Logger:       logger,
		})
	})
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(queue.Close))
	return queue, nil
}
