package bootstrap

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// roles has a line for every role. A role is a set of things to run; what they need is built because they need it, so
// a process never joins in what its role does not do.
var roles = map[string]func() fx.Option{
	// The order matters: a port that is taken fails the start before any work is fetched, and what is started last is
	// stopped first, the listener before the workers.
	configs.RoleAll:    working,
	configs.RoleAPI:    func() fx.Option { return fx.Invoke(bindHTTP, runBackground, serveHTTP) },
	configs.RoleWorker: working,
}

func working() fx.Option {
	return fx.Options(workersModule(), fx.Invoke(bindHTTP, runBackground, runWorkers, serveHTTP))
}

// workersModule is there in roles that call backends, and adds the component "worker" to /health.
func workersModule() fx.Option {
	return fx.Provide(
		newPool,
		func(pool *worker.Pool) *workers { return &workers{pool: pool} },
		func(pool *worker.Pool) probes { return probes{Probes: []probe{{"worker", pool}}} },
	)
}

// commonModule is what every role may need.
func commonModule() fx.Option {
	return fx.Module("common", fx.Provide(
		newMetrics,
		newEndpoints,
		newSubmit,
		application.NewPoll,
		application.NewCancel,
		newResend,
		newProcess,
		newGates,
		newServer,
		fx.Annotate(telemetry.NewObserver, fx.As(new(ports.Observer))),
		newBackend,
	))
}

// rawBackend is the chosen backend before anything is wrapped around it.
type rawBackend struct{ ports.Backend }

// newBackend wraps the chosen backend: calls are counted, and how they end moves the breakers.
func newBackend(raw rawBackend, metrics *telemetry.Metrics, gates *worker.Gates) ports.Backend {
	return gates.Backend(metrics.Backend(raw.Backend))
}

func newSubmit(
	config configs.Config, endpoints map[string]domain.Endpoint, intake ports.Intake, observer ports.Observer,
) *application.Submit {
	return application.NewSubmit(application.SubmitOptions{
		Endpoints:       endpoints,
		DefaultEndpoint: defaultEndpoint(config),
		Headers:         headerPolicy(config),
		Forwarded:       domain.Forwarding(config.Proxy.Forwarded),
		MaxAge:          config.Request.MaxAge,
		IdempotencyTTL:  config.Request.IdempotencyTTL,
		Now:             time.Now,
		NewID:           newID,
	}, intake, observer)
}

func newResend(
	config configs.Config, endpoints map[string]domain.Endpoint, letters ports.DeadLetters, intake ports.Intake,
	observer ports.Observer,
) *application.Resend {
	return application.NewResend(application.ResendOptions{
		Endpoints: endpoints,
		MaxAge:    config.Request.MaxAge,
		Now:       time.Now,
		NewID:     newID,
	}, letters, intake, observer)
}

// newID makes a UUIDv7.
func newID() (domain.ID, error) {
	id, err := uuid.NewV7()
	return domain.ID(id.String()), err
}

func newProcess(
	config configs.Config, endpoints map[string]domain.Endpoint, backend ports.Backend, observer ports.Observer,
) *application.Process {
	return application.NewProcess(application.ProcessOptions{
		Endpoints:     endpoints,
		MaxDeliveries: config.Queue.MaxDeliveries,
		Now:           time.Now,
		Random:        rand.Float64,
	}, backend, observer)
}

func newGates(config configs.Config) *worker.Gates {
	return worker.NewGates(limitsOf(config), time.Now)
}

func newPool(
	config configs.Config, endpoints map[string]domain.Endpoint, work ports.Work, process *application.Process,
	gates *worker.Gates, logger *slog.Logger,
) *worker.Pool {
	return worker.New(worker.Options{
		Slots:    config.Worker.Count,
		MaxBytes: int64(config.Worker.MaxBytes) / 2,
		Gates:    gates,
		Known:    slices.Collect(maps.Keys(endpoints)),
		Drain:    config.Worker.Drain,
		Settle:   settleTimeout,
		Now:      time.Now,
		Logger:   logger,
	}, work, process)
}

// workers are the running pool.
type workers struct {
	pool *worker.Pool
	loop *loop
}

// tell ends the fetching and begins the drain, without waiting for its end. It may be told before it runs, and again.
func (w *workers) tell() {
	if w != nil && w.loop != nil {
		w.loop.tell()
	}
}

// backgroundInput are the loops that there are.
type backgroundInput struct {
	fx.In

	Loops      []backgroundLoop `group:"background"`
	Supervisor *supervisor
}

// runBackground runs what the queue does beside. It ends after the workers, whose last outcomes it may have to tell.
func runBackground(lc fx.Lifecycle, in backgroundInput) {
	running := make([]*loop, 0, len(in.Loops))
	lc.Append(fx.StartStopHook(
		func() {
			for _, l := range in.Loops {
				running = append(running, in.Supervisor.start(l.name, l.run))
			}
		},
		func(ctx context.Context) error {
			for _, l := range running { // all at once: while a broker hangs each of them takes its time
				l.tell()
			}
			var late error
			for _, l := range running {
				late = errors.Join(late, l.end(ctx))
			}
			return late
		},
	))
}

// runWorkers runs the pool.
func runWorkers(lc fx.Lifecycle, s *supervisor, w *workers, config configs.Config, logger *slog.Logger) {
	lc.Append(fx.StartStopHook(
		func() {
			logger.Info("working", "slots", config.Worker.Count)
			w.loop = s.start("workers", w.pool.Run)
		},
		func(ctx context.Context) error { return w.loop.end(ctx) },
	))
}

// serverInput is what the HTTP server is made of.
type serverInput struct {
	fx.In

	Config  configs.Config
	Version Version
	Submit  *application.Submit
	Poll    *application.Poll
	Cancel  *application.Cancel
	Resend  *application.Resend
	Letters ports.DeadLetters
	Probes  []probe `group:"probes"`
	Metrics *telemetry.Metrics
	Gates   *worker.Gates
	Gauge   ports.Gauge
	Logger  *slog.Logger
}

func newServer(in serverInput) *httpapi.Server {
	in.Metrics.WatchQueue(in.Gauge, time.Now)
	in.Metrics.WatchBreakers(in.Gates.Breakers)
	named := make(map[string]ports.Probe, len(in.Probes))
	for _, p := range in.Probes {
		named[p.name] = p.probe
	}
	server := in.Config.Server
	return httpapi.New(httpapi.Options{
		Address:          net.JoinHostPort(server.Host, strconv.Itoa(server.Port)),
		AdminAddress:     server.AdminListen,
		Transparent:      transparent(in.Config.Proxy.Transparent),
		PublicURL:        server.PublicURL,
		Version:          string(in.Version),
		Submitter:        in.Submit,
		Poller:           in.Poll,
		Canceller:        in.Cancel,
		DeadLetters:      in.Letters,
		Resender:         in.Resend,
		Probes:           named,
		Metrics:          in.Metrics.Handler(),
		Observer:         in.Metrics,
		Logger:           in.Logger,
		Now:              time.Now,
		Keys:             apiKeys(server.APIKeys),
		RateLimit:        httpapi.RateLimit(server.RateLimit),
		TrustedProxies:   server.ProxyPrefixes(),
		MaxBodySize:      int64(server.MaxBodySize),
		MaxBodyBytes:     maxBodyBytes,
		MaxResponseBytes: maxResponseBytes,
		ReadTimeout:      server.ReadTimeout,
		MaxConnections:   server.MaxConnections,
		HealthOnly:       in.Config.Role == configs.RoleWorker,
	})
}

// What is held at one moment over all connections, in bytes.
const (
	maxBodyBytes     = 256 << 20 // bodies that are being received
	maxResponseBytes = 256 << 20 // results that clients are reading, each as it is stored and as it is sent
)

// serving is the running HTTP server, and what must stop with it.
type serving struct {
	fx.In

	Config     configs.Config
	Server     *httpapi.Server
	Workers    *workers `optional:"true"` // not in every role
	Farewells  []func() `group:"farewells"`
	Supervisor *supervisor
	Logger     *slog.Logger
}

// bindHTTP binds the ports: one that is taken fails the start.
func bindHTTP(lc fx.Lifecycle, server *httpapi.Server) { lc.Append(fx.StartHook(server.Listen)) }

// serveHTTP serves from the start of the process to its end.
func serveHTTP(lc fx.Lifecycle, s serving) {
	var running *loop
	lc.Append(fx.StartStopHook(
		func() { running = s.start() },
		func(ctx context.Context) error { return s.stop(ctx, running) },
	))
}

// start serves on the ports that are bound.
func (s *serving) start() *loop {
	s.Logger.Info("listening", "address", s.Server.Addr().String(), "role", s.Config.Role, "queue", s.Config.Queue.Type)
	if admin := s.Server.AdminAddr(); admin != nil {
		s.Logger.Info("listening for administration", "address", admin.String())
	}
	s.announceTransparent(s.Server.TransparentAddr())
	for _, text := range exposures(s.Server, s.Config) {
		s.Logger.Warn("open to other machines", "warning", text)
	}
	logFirstSteps(s.Logger, s.Config, s.Server.Addr())
	return s.Supervisor.start("http", func(context.Context) error { return s.Server.Serve() })
}

// stop turns readiness off first, gives load balancers time to see it, and then drains listener and workers together:
// their times do not add up.
func (s *serving) stop(ctx context.Context, running *loop) error {
	s.Server.Drain()
	pause(ctx, s.Config.Server.ShutdownDelay)
	s.Workers.tell()
	for _, say := range s.Farewells {
		go say() // the end of what it belongs to waits for it
	}
	running.expectEnd()
	ctx, cancel := context.WithTimeout(ctx, listenerDrain)
	defer cancel()
	if err := s.Server.Shutdown(ctx); err != nil {
		// Their requests were not accepted, so nothing is lost.
		s.Logger.Warn("clients that were too slow were cut off", "error", err)
	}
	<-running.done
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
