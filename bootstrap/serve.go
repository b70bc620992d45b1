package bootstrap

import (
	"context"
	"log/slog"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain/outage"
)

// serving is the HTTP server and what begins to stop together with it.
type serving struct {
	fx.In

	Config     configs.Config
	Server     *httpapi.Server
	Workers    *workers `optional:"true"` // not in every role
	DrainHooks *drainHooks
	Supervisor *supervisor
	Logger     *slog.Logger
}

// bindHTTP binds the ports. A port that is taken fails the start.
func bindHTTP(lc fx.Lifecycle, server *httpapi.Server) { lc.Append(fx.StartHook(server.Listen)) }

// serveHTTP serves from the start of the process to its end.
func serveHTTP(lc fx.Lifecycle, s serving) {
	var running *loop
	lc.Append(fx.StartStopHook(
		func() { running = s.start() },
		func(ctx context.Context) error { return s.stop(ctx, running) },
	))
}

// start logs the bound addresses and begins to serve on them.
func (s *serving) start() *loop {
	s.Logger.Info("listening", "address", s.Server.Addr().String(), "role", s.Config.Role, "queue", s.Config.Queue.Type)
	if admin := s.Server.AdminAddr(); admin != nil {
		s.Logger.Info("listening for administration", "address", admin.String())
	}
	s.announceTransparent(s.Server.TransparentAddr())
	warnEach(s.Logger, "open to other machines", exposures(s.Server, s.Config))
	warnEach(s.Logger, "an endpoint leads back here", selfCalls(s.Server, s.Config))
	logFirstSteps(s.Logger, s.Config, s.Server.Addr())
	return s.Supervisor.start("http", func(context.Context) error { return s.Server.Serve() })
}

// stop turns readiness off, waits until load balancers have noticed, and then drains the listener. Workers and hooks
// begin to drain at the same time, so that their times do not add up; later stages of the shutdown wait for them.
func (s *serving) stop(ctx context.Context, running *loop) error {
	s.Server.Drain()
	outage.Sleep(ctx, s.Config.Server.ShutdownDelay)
	s.Workers.stop()
	s.DrainHooks.start()
	running.expectEnd()
	ctx, cancel := context.WithTimeout(ctx, listenerDrain)
	defer cancel()
	if err := s.Server.Shutdown(ctx); err != nil {
		// What was cut off was not accepted, so nothing is lost.
		s.Logger.Warn("connections cut off: still busy at the end of the drain", "error", err)
	}
	<-running.done
	return nil
}
