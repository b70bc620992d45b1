package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func newGates(config configs.Config, logger *slog.Logger) *worker.Gates {
	return worker.NewGates(limitsOf(config), time.Now, logger)
}

// pauseSharing is what shares pauses of endpoints with other processes, where there may be any.
type pauseSharing struct {
	fx.In

	Gates  *worker.Gates
	Pauses ports.Pauses `optional:"true"`
}

func sharePauses(s pauseSharing) background {
	if s.Pauses == nil {
		return background{}
	}
	return background{Loops: []backgroundLoop{{
		name: "pauses of endpoints",
		run:  func(ctx context.Context) error { return s.Gates.SharePauses(ctx, s.Pauses) },
	}}}
}

func newPool(
	config configs.Config, work ports.Work, process *application.Process, gates *worker.Gates, memory memoryBudgets,
	logger *slog.Logger,
) *worker.Pool {
	return worker.New(worker.Options{
		Slots:    config.Worker.Count,
		MaxBytes: memory.Worker / 2,
		Gates:    gates,
		Known:    endpointNames(config),
		Drain:    config.Worker.Drain,
		Save:     saveTimeout,
		Now:      time.Now,
		Logger:   logger,
	}, work, process)
}

// consume returns the consumer of this process. It ends with the process, which waits for it.
func consume[C ports.Work](lc fx.Lifecycle, newConsumer func(context.Context) (C, func())) ports.Work {
	ctx, cancel := context.WithCancel(context.Background())
	consumer, wait := newConsumer(ctx)
	lc.Append(fx.StopHook(func() {
		cancel()
		wait()
	}))
	return consumer
}

// workers is the pool and, once it runs, its loop.
type workers struct {
	pool *worker.Pool
	loop *loop
}

// stop ends the fetching and begins the drain, without waiting for its end. It does nothing in a role without workers,
// and before they run.
func (w *workers) stop() {
	if w != nil && w.loop != nil {
		w.loop.stop()
	}
}

// runWorkers runs the pool until the process stops.
func runWorkers(lc fx.Lifecycle, s *supervisor, w *workers, config configs.Config, logger *slog.Logger) {
	lc.Append(fx.StartStopHook(
		func() {
			logger.Info("worker started", "slots", config.Worker.Count)
			w.loop = s.start("workers", w.pool.Run)
		},
		func(ctx context.Context) error { return w.loop.end(ctx) },
	))
}
