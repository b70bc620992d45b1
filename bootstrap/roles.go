package bootstrap

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
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
	// The order matters: what is started last is stopped first, and the listener must go before the workers.
	configs.RoleAll:    func() fx.Option { return fx.Invoke(runWorkers, serveHTTP) },
	configs.RoleAPI:    func() fx.Option { return fx.Invoke(serveHTTP) },
	configs.RoleWorker: func() fx.Option { return fx.Invoke(runWorkers, serveHTTP) },
}

// commonModule is what every role may need.
func commonModule() fx.Option {
	return fx.Module("common", fx.Provide(
		newMetrics,
		newEndpoints,
		newSubmit,
		application.NewPoll,
		application.NewCancel,
		newProcess,
		newPool,
		newServer,
		fx.Annotate(telemetry.NewObserver, fx.As(new(ports.Observer))),
		countedBackend,
	))
}

// rawBackend is the chosen backend before anything is wrapped around it.
type rawBackend struct{ ports.Backend }

func countedBackend(raw rawBackend, metrics *telemetry.Metrics) ports.Backend {
	return metrics.Backend(raw.Backend)
}

func newSubmit(
	config configs.Config, endpoints map[string]domain.Endpoint, intake ports.Intake, observer ports.Observer,
) *application.Submit {
	return application.NewSubmit(application.SubmitOptions{
		Endpoints:       endpoints,
		DefaultEndpoint: defaultEndpoint(config),
		Headers:         headerPolicy(config),
		MaxAge:          config.Request.MaxAge,
		IdempotencyTTL:  config.Request.IdempotencyTTL,
		Now:             time.Now,
		NewID:           newID,
	}, intake, observer)
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
		Headers:       headerPolicy(config),
		MaxDeliveries: config.Queue.MaxDeliveries,
		Now:           time.Now,
		Random:        rand.Float64,
	}, backend, observer)
}

func newPool(config configs.Config, work ports.Work, process *application.Process, logger *slog.Logger) *worker.Pool {
	return worker.New(worker.Options{
		Slots:    config.Worker.Count,
		MaxBytes: int64(config.Worker.MaxBytes) / 2,
		Drain:    config.Worker.Drain,
		Settle:   settleTimeout,
		Now:      time.Now,
		Logger:   logger,
	}, work, process)
}

// runWorkers runs the pool.
func runWorkers(lc fx.Lifecycle, s *supervisor, pool *worker.Pool, config configs.Config, logger *slog.Logger) {
	var running *loop
	lc.Append(fx.StartStopHook(
		func() {
			logger.Info("working", "slots", config.Worker.Count)
			running = s.start("workers", pool.Run)
		},
		func(ctx context.Context) error { return running.end(ctx) },
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
	Probes  []probe `group:"probes"`
	Metrics *telemetry.Metrics
	Gauge   ports.Gauge
	Logger  *slog.Logger
}

func newServer(in serverInput) *httpapi.Server {
	in.Metrics.WatchQueue(in.Gauge, time.Now)
	named := make(map[string]ports.Probe, len(in.Probes))
	for _, p := range in.Probes {
		named[p.name] = p.probe
	}
	server := in.Config.Server
	return httpapi.New(httpapi.Options{
		Address:        net.JoinHostPort(server.Host, strconv.Itoa(server.Port)),
		PublicURL:      server.PublicURL,
		Version:        string(in.Version),
		Submitter:      in.Submit,
		Poller:         in.Poll,
		Canceller:      in.Cancel,
		Probes:         named,
		Metrics:        in.Metrics.Handler(),
		Observer:       in.Metrics,
		Logger:         in.Logger,
		Now:            time.Now,
		MaxBodySize:    int64(server.MaxBodySize),
		MaxBodyBytes:   maxBodyBytes,
		ReadTimeout:    server.ReadTimeout,
		MaxConnections: server.MaxConnections,
	})
}

// maxBodyBytes bounds the bodies that are being received at one moment, over all connections.
const maxBodyBytes = 256 << 20

// serveHTTP binds the port, so that one in use fails the start, and serves.
func serveHTTP(lc fx.Lifecycle, s *supervisor, server *httpapi.Server, config configs.Config, logger *slog.Logger) {
	var running *loop
	lc.Append(fx.StartStopHook(
		func(ctx context.Context) error {
			if err := server.Listen(ctx); err != nil {
				return err
			}
			logger.Info("listening", "address", server.Addr().String(), "role", config.Role,
				"queue", config.Queue.Type)
			running = s.start("http", func(context.Context) error { return server.Serve() })
			return nil
		},
		func(ctx context.Context) error {
			server.Drain()
			pause(ctx, config.Server.ShutdownDelay)
			running.expectEnd()
			ctx, cancel := context.WithTimeout(ctx, listenerDrain)
			defer cancel()
			err := server.Shutdown(ctx)
			<-running.done
			return err
		},
	))
}

// pause gives load balancers time to see that this process is not ready.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
