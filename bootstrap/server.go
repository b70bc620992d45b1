package bootstrap

import (
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// probe names a component of /health.
type probe struct {
	name  string
	probe ports.Probe
}

// probes is what a constructor returns to add its components to /health, once the queue is open.
type probes struct {
	fx.Out

	Probes []probe `group:"probes,flatten"`
}

// storeClock is the clock by which records have their times.
type storeClock struct {
	now  func() time.Time
	skew func() time.Duration // how much it is ahead of ours; nil: it is ours
}

// ownProbes is the same for components that need no queue. They are in /health from the beginning.
type ownProbes struct {
	fx.Out

	Probes []probe `group:"own_probes,flatten"`
}

// byComponent returns probes by the names of their components.
func byComponent(lists ...[]probe) map[string]ports.Probe {
	byName := make(map[string]ports.Probe)
	for _, p := range slices.Concat(lists...) {
		byName[p.name] = p.probe
	}
	return byName
}

// serverInput is what the HTTP server is made of.
type serverInput struct {
	fx.In

	Config  configs.Config
	Memory  memoryBudgets
	Version Version
	Name    pseudonym
	Submit  *application.Submit
	Poll    *application.Poll
	Cancel  *application.Cancel
	Resend  *application.Resend
	Opening *opening
	Own     []probe `group:"own_probes"`
	Metrics *telemetry.Metrics
	Gates   *worker.Gates
	Log     *Log
	Files   descriptors
	Short   *httpapi.Shortage

	Rotations *rotations
}

// newServer needs nothing that needs the queue: the server listens before that is open.
func newServer(in serverInput) (*httpapi.Server, error) {
	in.Metrics.WatchQueue(openingGauge{in.Opening}, time.Now)
	in.Metrics.WatchBreakers(in.Gates.Breakers)
	in.Metrics.WatchLog(in.Log.writer)
	server := in.Config.Server
	secure, err := serverTLS("server.tls", server.TLS, in.Rotations)
	if err != nil {
		return nil, err
	}
	secureAdmin, err := serverTLS("server.admin_tls", server.AdminTLS, in.Rotations)
	if err != nil {
		return nil, err
	}
	return httpapi.New(httpapi.Options{
		Address:          net.JoinHostPort(server.Host, strconv.Itoa(server.Port)),
		AdminAddress:     server.AdminListen,
		Transparent:      transparent(in.Config.Proxy.Transparent),
		TLS:              secure,
		AdminTLS:         secureAdmin,
		PublicURL:        server.PublicURL,
		Version:          string(in.Version),
		Pseudonym:        string(in.Name),
		Submitter:        in.Submit,
		Poller:           in.Poll,
		Canceller:        in.Cancel,
		DeadLetters:      openingLetters{in.Opening},
		Resender:         in.Resend,
		Backups:          backups(in.Config, in.Opening),
		Probes:           byComponent(in.Own, in.Opening.probes()),
		Metrics:          in.Metrics.Handler(),
		Observer:         in.Metrics,
		Logger:           in.Log.Logger,
		Now:              time.Now,
		Hosts:            server.Hosts,
		StoreNow:         in.Opening.now,
		Access:           accessOf(server),
		CORS:             httpapi.CORS(server.CORS),
		TrustedProxies:   server.ProxyPrefixes(),
		MaxBodySize:      int64(server.MaxBodySize),
		MaxBodyBytes:     in.Memory.Bodies,
		MaxResponseBytes: in.Memory.Results,
		ReadTimeout:      server.ReadTimeout,
		MaxConnections:   in.Files.clients,
		AdminConnections: in.Files.admins,
		Shortage:         in.Short,
		HealthOnly:       in.Config.Role == configs.RoleWorker,
	}), nil
}

// newShortage adds the component "http" to /health.
func newShortage(logger *slog.Logger) (*httpapi.Shortage, ownProbes) {
	shortage := httpapi.NewShortage(logger, time.Now)
	return shortage, ownProbes{Probes: []probe{{"http", shortage}}}
}
