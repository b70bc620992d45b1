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

// Version is the version of the running program.
type Version string

// NewLogger returns a logger that writes to w in the configured format, from the configured level on.
func NewLogger(config configs.Config, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(config.Log.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	return telemetry.NewLogger(w, config.Log.Format, level)
}

// Run builds the process, runs it until stop ends or a component fails, and shuts it down. It blocks until that is
// done, and returns nil after an orderly end. The error is a *configs.Error when a configured secret or file cannot be
// read, and ports.ErrMisconfigured when what is configured does not go with what is there.
func Run(stop context.Context, config configs.Config, version string, logger *slog.Logger) error {
	silenceLibraries(logger)
	var supervisor *supervisor
	app := fx.New(Options(config, Version(version), logger), fx.Populate(&supervisor))
	if err := app.Err(); err != nil {
		return dig.RootCause(err)
	}
	// Not bounded by stop: fx would not undo what it had started. A process that is stopped now stops right after.
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
		failure = errComponentEnded
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

// errComponentEnded does not name the component: the supervisor has logged it with its error.
var errComponentEnded = errors.New("a component stopped unexpectedly; the log names it")

// Options returns the whole graph for a configuration.
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

// pick returns the module that a table has for a name. The configuration has been checked, so a missing line is a bug.
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
	saveTimeout   = 10 * time.Second // saving the last outcomes
	closeTimeout  = 10 * time.Second // everything else
)

// stopTimeout is the sum over all stages of a shutdown. Each has a bound of its own, so that none uses up the time of
// the next.
func stopTimeout(config configs.Config) time.Duration {
	return config.Server.ShutdownDelay + max(listenerDrain, config.Worker.Drain) + saveTimeout + closeTimeout
}

// startupLog passes on the failures that fx reports; its other events are of no use to operators.
type startupLog struct{ log *slog.Logger }

// LogEvent logs failures of shutdown hooks. Those of a start are returned by Run.
func (l startupLog) LogEvent(event fxevent.Event) {
	if e, ok := event.(*fxevent.OnStopExecuted); ok && e.Err != nil {
		name, _, _ := strings.Cut(e.FunctionName, "(")
		l.log.Error("a stage of the shutdown failed; going on with the next", "stage", name, "error", e.Err)
	}
}
