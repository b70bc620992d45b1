package bootstrap

import (
	"context"
	"log/slog"
	"sync"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain/outage"
)

// front is the HTTP server as it runs.
type front struct {
	mu      sync.Mutex
	server  *httpapi.Server
	running *loop // nil: it does not run
}

// listen binds the ports and begins to serve on them. A port that is taken fails the start.
func listen(start startContext, f *front, server *httpapi.Server, s *supervisor) error {
	if err := server.Listen(start); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server, f.running = server, s.start("http", func(context.Context) error { return server.Serve() })
	return nil
}

// address returns where health is served; empty: it does not run.
func (f *front) address() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == nil {
		return ""
	}
	return f.server.Addr().String()
}

// shutdown lets running requests end, and blocks until the server has ended. When ctx ends first it cuts them off and
// returns an error.
func (f *front) shutdown(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == nil {
		return nil
	}
	f.running.expectEnd()
	err := f.server.Shutdown(ctx)
	<-f.running.done
	return err
}

// serving is the HTTP server and what begins to stop together with it.
type serving struct {
	fx.In

	Config     configs.Config
	Front      *front
	Opening    *opening
	Queue      openedQueue
	Own        []probe `group:"own_probes"`
	Server     *httpapi.Server
	Workers    *workers `optional:"true"` // not in every role
	DrainHooks *drainHooks
	Metrics    *telemetry.Metrics
	Logger     *slog.Logger
}

// serveHTTP serves requests from the start of the process to its end.
func serveHTTP(lc fx.Lifecycle, s serving) { lc.Append(fx.StartStopHook(s.start, s.stop)) }

// start lets clients have the queue, and logs the bound addresses.
func (s *serving) start() {
	s.Opening.queue.Store(&s.Queue)
	if skew := s.Queue.Clock.skew; skew != nil {
		s.Metrics.WatchClock(skew)
	}
	s.Server.SetProbes(byComponent(s.Own, s.Queue.Probes))
	s.Logger.Info("listening", "address", s.Server.Addr().String(), "role", s.Config.Role, "queue", s.Config.Queue.Type)
	if admin := s.Server.AdminAddr(); admin != nil {
		s.Logger.Info("listening for administration", "address", admin.String())
	}
	s.announceTransparent(s.Server.TransparentAddr())
	warnEach(s.Logger, "open to other machines", exposures(s.Server, s.Config))
	warnEach(s.Logger, "an endpoint leads back here", selfCalls(s.Server, s.Config))
	logFirstSteps(s.Logger, s.Config, s.Server.Addr())
}

// stop turns readiness off, waits until load balancers have noticed, and then drains the listener. Workers and hooks
// begin to drain at the same time, so that their times do not add up; later stages of the shutdown wait for them.
func (s *serving) stop(ctx context.Context) error {
	s.Server.Drain()
	outage.Sleep(ctx, s.Config.Server.ShutdownDelay)
	s.Workers.stop()
	s.DrainHooks.start()
	ctx, cancel := context.WithTimeout(ctx, listenerDrain)
	defer cancel()
	if err := s.Front.shutdown(ctx); err != nil {
		// What was cut off was not accepted, so nothing is lost.
		s.Logger.Warn("connections cut off: still busy at the end of the drain", "error", err)
	}
	return nil
}
