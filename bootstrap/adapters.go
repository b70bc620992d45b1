package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/echobackend"
	"github.com/openhqm/openhqm/adapters/embedded"
	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// queues has a line for every queue.type. Each provides ports.Intake, ports.Work, ports.Results, ports.Gauge,
// ports.DeadLetters and the probes of the components "queue" and "store".
var queues = map[string]func() fx.Option{
	configs.QueueEmbedded: embeddedModule,
}

// backends has a line for every kind of backend.
var backends = map[string]func() fx.Option{
	backendHTTP: httpBackendModule,
	backendEcho: echoBackendModule,
}

const (
	backendHTTP = "http"
	backendEcho = "echo"
)

// backendOf is the built-in echo while no endpoint is configured.
func backendOf(config configs.Config) string {
	if len(config.Proxy.Endpoints) == 0 {
		return backendEcho
	}
	return backendHTTP
}

// probe names a component of /health.
type probe struct {
	name  string
	probe ports.Probe
}

// probes is what a constructor gives to add its components to /health.
type probes struct {
	fx.Out

	Probes []probe `group:"probes,flatten"`
}

func embeddedModule() fx.Option {
	return fx.Module("embedded", fx.Provide(
		openEmbedded,
		consumeEmbedded,
		func(db *embedded.DB) (ports.Intake, ports.Results, ports.Gauge) { return db, db, db },
		func(db *embedded.DB) ports.DeadLetters { return db.DeadLetters() },
		func(db *embedded.DB) probes { return probes{Probes: []probe{{"queue", db}, {"store", db}}} },
	))
}

// openEmbedded opens the database at once, not in a start hook: the adapters on top of it need it to be there.
func openEmbedded(
	lc fx.Lifecycle, config configs.Config, observer ports.Observer, logger *slog.Logger, s *supervisor,
) (*embedded.DB, error) {
	db, err := embedded.Open(embedded.Options{
		Dir:           config.Embedded.Dir,
		MinFree:       uint64(config.Embedded.MinFree),
		MaxDepth:      int64(config.Queue.MaxDepth),
		Lease:         config.Queue.Lease,
		TTL:           config.Store.TTL,
		DeadLetterTTL: config.Store.DeadLetterTTL,
		Now:           time.Now,
		Ended:         observer.Ended,
		Logger:        logger,
	})
	if err != nil {
		return nil, err
	}
	watch := s.start("embedded database", func(ctx context.Context) error {
		select {
		case <-db.Done():
			return db.Err()
		case <-ctx.Done():
			return nil
		}
	})
	lc.Append(fx.StopHook(func(ctx context.Context) error {
		if err := watch.end(ctx); err != nil {
			return err
		}
		return db.Close()
	}))
	return db, nil
}

func consumeEmbedded(lc fx.Lifecycle, db *embedded.DB) ports.Work {
	ctx, cancel := context.WithCancel(context.Background())
	consumer, wait := db.NewConsumer(ctx)
	lc.Append(fx.StopHook(func() {
		cancel()
		wait()
	}))
	return consumer
}

func echoBackendModule() fx.Option {
	return fx.Module("echo", fx.Provide(func() rawBackend { return rawBackend{echobackend.Backend{}} }))
}

func httpBackendModule() fx.Option {
	return fx.Module("http", fx.Provide(newHTTPBackend))
}

// newHTTPBackend resolves the secrets, so it is only built in roles that call backends.
func newHTTPBackend(lc fx.Lifecycle, config configs.Config, version Version) (rawBackend, error) {
	endpoints, err := httpEndpoints(config)
	if err != nil {
		return rawBackend{}, err
	}
	client, err := httpbackend.New(httpbackend.Options{
		Endpoints:       endpoints,
		HeaderPolicy:    headerPolicy(config),
		MaxResponseSize: int64(config.Proxy.MaxResponseSize),
		MaxIdlePerHost:  config.Worker.Count,
		Version:         string(version),
	})
	if err != nil {
		return rawBackend{}, err
	}
	lc.Append(fx.StopHook(client.Close))
	return rawBackend{client}, nil
}

func headerPolicy(config configs.Config) domain.HeaderPolicy {
	return domain.HeaderPolicy{Forward: config.Proxy.ForwardHeaders, Strip: config.Proxy.StripHeaders}
}
