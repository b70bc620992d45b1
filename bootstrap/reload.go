package bootstrap

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/configs"
)

// Reloads says when a running process reads its configuration again, and how. Zero: never.
type Reloads struct {
	Hangups <-chan os.Signal // each asks for it
	Load    func() (configs.Config, []configs.Warning, error)
}

// reloader makes a running process use another configuration, as far as it can. Everything is prepared first; if
// anything is wrong with the configuration, nothing changes.
type reloader struct {
	fx.In

	Reloads   Reloads
	Config    configs.Config // in use
	Log       *Log
	Metrics   *telemetry.Metrics
	Gates     *worker.Gates
	Server    *httpapi.Server
	Rotations *rotations
	Endpoints *endpointsNow
	Caller    *caller  `optional:"true"` // not in every role
	Workers   *workers `optional:"true"`
}

// runReloads reloads at each signal, as long as the process serves.
func runReloads(lc fx.Lifecycle, s *supervisor, r reloader) {
	var running *loop
	lc.Append(fx.StartStopHook(
		func() { running = s.start("reload of the configuration", r.run) },
		func(ctx context.Context) error { return running.end(ctx) },
	))
}

// run reloads at each signal until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	for {
		select {
		case <-r.Reloads.Hangups:
			r.reload()
		case <-ctx.Done():
			return nil
		}
	}
}

// reload logs one line with every fault or, if there is none, one with the keys that have changed.
func (r *reloader) reload() {
	loaded, warnings, err := r.Reloads.Load()
	var changed, deferred []string
	if err == nil {
		loaded, changed, deferred = r.Config.Reload(loaded)
		err = r.use(loaded)
	}
	r.Metrics.Reloaded(err == nil, time.Now())
	if err != nil {
		r.Log.Error("SIGHUP: the configuration is wrong; going on with the old one", "error", err)
		return
	}
	LogWarnings(r.Log.Logger, warnings)
	r.Log.Info("SIGHUP: read the configuration again", "changed", strings.Join(changed, ", "))
	if len(deferred) > 0 {
		r.Log.Warn("SIGHUP: the change of some keys needs a restart; they stay as they were",
			"keys", strings.Join(deferred, ", "))
	}
	r.warn(changed)
}

// use makes the process use a configuration. After an error everything is as it was.
func (r *reloader) use(next configs.Config) error {
	level, err := levelOf(next)
	if err != nil {
		return err
	}
	if err := keepsTransparent(next); err != nil {
		return err
	}
	if len(r.Config.Server.APIKeys) > 0 && len(next.Server.APIKeys) == 0 {
		return next.Refuse("server.api_keys", "would be empty, which opens the server to everybody: that needs a restart")
	}
	if err := enoughDescriptors(next); err != nil {
		return err
	}
	r.Rotations.mu.Lock()
	defer r.Rotations.mu.Unlock()
	var made called
	if r.Caller != nil {
		if made, err = r.Caller.prepare(next); err != nil {
			return err
		}
	}
	// From here on nothing fails. An endpoint is counted and limited before it is called.
	r.Log.level.Set(level)
	r.Metrics.NameEndpoints(endpointNames(next))
	r.Gates.Change(limitsOf(next))
	r.Endpoints.Store(endpointSet(next, made.backend))
	if r.Caller != nil {
		made.use()
	}
	if r.Workers != nil {
		r.Workers.pool.Change(next.Worker.Count, endpointNames(next))
	}
	r.Server.Change(accessOf(next.Server))
	r.Config = next
	return nil
}

// keepsTransparent refuses to remove the endpoint of the transparent address, which itself needs a restart to change.
func keepsTransparent(next configs.Config) error {
	const key = "proxy.transparent.endpoint"
	endpoint := next.Proxy.Transparent.Endpoint
	if endpoint == "" || slices.Contains(endpointNames(next), endpoint) {
		return nil
	}
	return next.Refuse(key, "is still "+endpoint+" until a restart, so that endpoint must stay")
}

// warn repeats the warnings of the start that the changed keys may be about.
func (r *reloader) warn(changed []string) {
	about := func(prefix string) bool {
		return slices.ContainsFunc(changed, func(key string) bool { return strings.HasPrefix(key, prefix) })
	}
	if about("server.api_keys") {
		warnEach(r.Log.Logger, "open to other machines", exposures(r.Server, r.Config))
	}
	if about("proxy.endpoints") {
		warnEach(r.Log.Logger, "an endpoint leads back here", selfCalls(r.Server, r.Config))
	}
}

// warnEach logs a line for each warning.
func warnEach(logger *slog.Logger, message string, warnings []string) {
	for _, text := range warnings {
		logger.Warn(message, "warning", text) //nolint:sloglint // each caller has one message
	}
}

// LogWarnings logs what is odd about a configuration.
func LogWarnings(logger *slog.Logger, warnings []configs.Warning) {
	for _, warning := range warnings {
		logger.Warn("configuration", "source", warning.Source, "warning", warning.Text)
	}
}
