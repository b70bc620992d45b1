package bootstrap

import (
	"log/slog"
	"net"
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

// probes is what a constructor returns to add its components to /health.
type probes struct {
	fx.Out

	Probes []probe `group:"probes,flatten"`
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
	Letters ports.DeadLetters
	Backups ports.Backups `optional:"true"`
	Probes  []probe       `group:"probes"`
	Metrics *telemetry.Metrics
	Gates   *worker.Gates
	Gauge   ports.Gauge
	Log     *Log
	Files   descriptors
	Short   *httpapi.Shortage

	Rotations *rotations
}

func newServer(in serverInput) (*httpapi.Server, error) {
	in.Metrics.WatchQueue(in.Gauge, time.Now)
	in.Metrics.WatchBreakers(in.Gates.Breakers)
	in.Metrics.WatchLog(in.Log.writer)
	named := make(map[string]ports.Probe, len(in.Probes))
	for _, p := range in.Probes {
		named[p.name] = p.probe
	}
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
		DeadLetters:      in.Letters,
		Resender:         in.Resend,
		Backups:          in.Backups,
		Probes:           named,
		Metrics:          in.Metrics.Handler(),
		Observer:         in.Metrics,
		Logger:           in.Log.Logger,
		Now:              time.Now,
		Hosts:            server.Hosts,
		Keys:             apiKeys(server.APIKeys),
		RateLimit:        httpapi.RateLimit(server.RateLimit),
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
func newShortage(logger *slog.Logger) (*httpapi.Shortage, probes) {
	shortage := httpapi.NewShortage(logger, time.Now)
	return shortage, probes{Probes: []probe{{"http", shortage}}}
}
