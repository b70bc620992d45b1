// Package bootstrap builds one process from its configuration: it picks the adapters, gives each its own options, and
// runs what the role asks for. It is the only place that knows them all.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/openhqm/openhqm/configs"
)

// Version is the version of the running program.
type Version string

// Run builds the process, runs it until stop ends or a component fails, and shuts it down. It blocks until that is
// done, and returns nil after an orderly end. Meanwhile it reloads what can be changed. Stopping during the start is
// orderly too, and takes a second at most. The error is a *configs.Error when a configured secret or file cannot be
// read, and ports.ErrMisconfigured when what is configured does not go with what is there.
func Run(stop context.Context, config configs.Config, version string, log *Log, reloads Reloads) error {
	silenceLibraries(log.Logger)
	var front front
	app, supervisor, err := build(stop, config, Version(version), log, reloads, &front)
	if err == nil {
		// Not bounded by stop: fx would not undo what it had started. A process that is stopped now stops right after.
		start, cancel := context.WithTimeout(context.WithoutCancel(stop), app.StartTimeout())
		defer cancel()
		err = app.Start(start)
	}
	switch {
	case err == nil:
		return serve(stop, app, supervisor, log)
	case stop.Err() != nil:
		log.Info("shut down before the start was complete")
		err = nil
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(stop), abandonAfter)
	defer cancel()
	_ = front.shutdown(end) // what it cuts off was not accepted
	return dig.RootCause(err)
}

// serve runs the process that has started, and shuts it down.
func serve(stop context.Context, app *fx.App, supervisor *supervisor, log *Log) error {
	var failure error
	select {
	case <-stop.Done():
		log.Info("shutting down")
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
		log.Info("shut down")
	}
	return failure
}

// errComponentEnded does not name the component: the supervisor has logged it with its error.
var errComponentEnded = errors.New("a component stopped unexpectedly; the log names it")

// startContext ends when the process is stopped during its start. Constructors that wait for something heed it.
type startContext struct{ context.Context }

// abandonAfter is how long a stopped start may take to notice, and then requests to be answered.
const abandonAfter = 400 * time.Millisecond

// build calls the constructors, which open the queue, while front answers. When stop ends, it waits for them for
// abandonAfter: opening a large database cannot be interrupted, but ends with the process without harm.
func build(
	stop context.Context, config configs.Config, version Version, log *Log, reloads Reloads, front *front,
) (*fx.App, *supervisor, error) {
	var app *fx.App
	var s *supervisor
	built := make(chan struct{})
	go func() {
		defer close(built)
		app = fx.New(Options(stop, config, version, log, reloads, front), fx.Populate(&s))
	}()
	select {
	case <-built:
	case <-stop.Done():
		select {
		case <-built:
		case <-time.After(abandonAfter):
			return nil, nil, stop.Err()
		}
	}
	return app, s, app.Err()
}

// Options returns the whole graph for a configuration. Its constructors stop waiting when start ends.
func Options(
	start context.Context, config configs.Config, version Version, log *Log, reloads Reloads, front *front,
) fx.Option {
	return fx.Options(
		fx.Supply(startContext{start}, config, version, log, reloads, front),
		fx.Provide(func() *slog.Logger { return log.Logger }, newSupervisor),
		fx.WithLogger(func() fxevent.Logger { return startupLog{log.Logger} }),
		fx.StartTimeout(startTimeout),
		fx.StopTimeout(stopTimeout(config)),
		commonModule(),
		pick("queue.type", queues, config.Queue.Type),
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
	startTimeout  = 30 * time.Second // the start hooks: the queue is open by then
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
