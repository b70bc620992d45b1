// Package bootstrap builds one process from its configuration: it picks the adapters, gives each its own options, and
// runs what the role asks for. It is the only place that knows them all.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/configs"
)

// Version is that of the running program.
type Version string

// NewLogger makes the logger that the configuration asks for.
func NewLogger(config configs.Config, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(config.Log.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	return telemetry.NewLogger(w, config.Log.Format, level)
}

// Run builds the process, runs it until stop ends or a part of it fails, and shuts it down. It returns nil after an
// orderly end, and what went wrong otherwise; a *configs.Error when that is a secret or a file that cannot be had.
func Run(stop context.Context, config configs.Config, version string, logger *slog.Logger) error {
	silenceLibraries(logger)
	var supervisor *supervisor
	app := fx.New(Options(config, Version(version), logger), fx.Populate(&supervisor))
	if err := app.Err(); err != nil {
		return dig.RootCause(err)
	}
	// Not cut off by stop: fx would leave behind what it had started. A process told to stop now stops right after.
	start, cancel := context.WithTimeout(context.WithoutCancel(stop), app.StartTimeout())
	defer cancel()
	if err := app.Start(start); err != nil {
		return dig.RootCause(err)
	}
	var failure error
	select {
	case <-stop.Done():
		logger.Info("shutting down")
	// Not app.Wait: it would catch the signals too, and the second one would be lost.
	case <-supervisor.failed.Done():
		failure = errPartFailed
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(stop), app.StopTimeout())
	defer cancel()
	if err := app.Stop(end); err != nil {
		return errors.Join(failure, fmt.Errorf("shut down: %w", err))
	}
	if failure == nil {
		logger.Info("shut down")
	}
	return failure
}

// errPartFailed is all there is to say at the end: the part that failed has logged its error.
var errPartFailed = errors.New("a part of it failed")

// Options is the whole graph for a configuration.
func Options(config configs.Config, version Version, logger *slog.Logger) fx.Option {
	return fx.Options(
		fx.Supply(config, version),
		fx.Provide(func() *slog.Logger { return logger }, newSupervisor),
		fx.WithLogger(func() fxevent.Logger { return startupLog{logger} }),
		fx.StartTimeout(startTimeout),
		fx.StopTimeout(stopTimeout(config)),
		commonModule(),
		pick("queue.type", queues, config.Queue.Type),
		pick("proxy.endpoints", backends, backendOf(config)),
		pick("role", roles, config.Role),
	)
}

// pick takes one line of a table. The configuration has been checked, so a missing line is a fault of this package.
func pick(key string, table map[string]func() fx.Option, name string) fx.Option {
	module, known := table[name]
	if !known {
		return fx.Error(fmt.Errorf("%s: %q is not built in", key, name))
	}
	return module()
}

// Times of a start and a shutdown beside those of the configuration.
const (
	startTimeout  = 30 * time.Second // opening a large database, or finding a broker
	listenerDrain = 10 * time.Second // requests that are being answered
	settleTimeout = 10 * time.Second // saving the last outcomes
	closeTimeout  = 10 * time.Second // everything else
)

// stopTimeout covers all stages of a shutdown: each has a bound of its own, so that none takes the time of the next.
func stopTimeout(config configs.Config) time.Duration {
	return config.Server.ShutdownDelay + max(listenerDrain, config.Worker.Drain) + settleTimeout + closeTimeout
}

// startupLog passes on what fx has to say when something fails; the rest is of no use to operators.
type startupLog struct{ log *slog.Logger }

// LogEvent logs failures of shutdown hooks. Those of a start are returned, and logged by whoever gets them.
func (l startupLog) LogEvent(event fxevent.Event) {
	if e, ok := event.(*fxevent.OnStopExecuted); ok && e.Err != nil {
		name, _, _ := strings.Cut(e.FunctionName, "(")
		l.log.Error("shutdown", "stage", name, "error", e.Err)
	}
}
