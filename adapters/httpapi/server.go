// Package httpapi is the inbound HTTP adapter: it turns requests into calls of the driving ports and their answers
// into JSON. Payloads and results pass through it as the bytes they are; nothing here decodes and encodes them again.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/ports"
)

const (
	// maxHeaderBlock bounds request line and fields together, in bytes. net/http reads headerSlop more than it is told,
	// and for the first request of a connection as much besides as it takes to know one of HTTP/2.
	maxHeaderBlock = 64 << 10
	headerSlop     = 4<<10 + len("PRI * HTTP/2.0")

	// idleTimeout is how long a connection may wait for its next request: nginx's keepalive_timeout.
	idleTimeout = 75 * time.Second

	// maxAdminConnections is enough for people, probes and scrapers, however many clients there are.
	maxAdminConnections = 1000

	// callTimeout bounds a call of a port, on top of the time it was asked to wait.
	callTimeout = 30 * time.Second
)

// Options is what a Server is made of. All fields are needed except those that say what they mean when they are empty.
type Options struct {
	Address      string      // host:port to listen on; port 0 is any free one
	AdminAddress string      // of a second listener, for administrators only; empty: none
	Transparent  Transparent // a listener that looks like one endpoint; zero: none
	PublicURL    string      // scheme, host and path prefix that clients use; makes Location absolute; empty: it is a path
	Version      string      // shown by /health

	Submitter   ports.Submitter
	Poller      ports.Poller
	Canceller   ports.Canceller
	DeadLetters ports.DeadLetters
	Resender    ports.Resender
	Probes      map[string]ports.Probe // by component name, for /health; empty: nothing to probe
	Metrics     http.Handler           // answers /metrics
	HealthOnly  bool                   // serve health and metrics alone: requests go to other processes
	Observer    RequestObserver
	Logger      *slog.Logger
	Now         func() time.Time

	Keys           []Key      // that requests must have one of; empty: everybody may do everything
	RateLimit      RateLimit  // of each client; zero: none
	TrustedProxies ProxyTrust // may say for whom they ask; empty: nobody may

	MaxBodySize      int64         // bytes of one request body
	MaxBodyBytes     int64         // bytes of all bodies over 64 KiB that are held at once; at least MaxBodySize is used
	MaxResponseBytes int64         // bytes of all results over 64 KiB that are being read at once; one is always given
	ReadTimeout      time.Duration // for a request at most, and for a client to take a piece of an answer
	MaxConnections   int           // open at once; further ones wait in the kernel's backlog
}

// Server serves the HTTP interface. Listen comes first, and only once; the other methods may then be called from any
// goroutine, Drain and Shutdown more than once.
type Server struct {
	clients     *listener
	transparent *listener // nil: there is none
	admins      *listener // nil: there is none
	drain       context.CancelFunc
}

// New makes a server that does not listen yet.
func New(opts Options) *Server {
	draining, drain := context.WithCancel(context.Background())
	a := newAPI(draining, opts)
	s := &Server{drain: drain}
	s.clients = newListener("HTTP", opts.Address, opts.MaxConnections, a.handler(), opts)
	a.mainPort = s.clients.port
	if t := opts.Transparent; t.Address != "" {
		engine := a.proxyEngine(front{endpoint: t.Endpoint})
		s.transparent = newListener("the transparent proxy", t.Address, opts.MaxConnections, engine, opts)
		s.transparent.server.DisableGeneralOptionsHandler = true // "OPTIONS *" would get the gateway's own
	}
	if opts.AdminAddress != "" {
		s.admins = newListener("administration", opts.AdminAddress, maxAdminConnections, a.adminEngine(), opts)
	}
	return s
}

// listeners returns those that are configured.
func (s *Server) listeners() []*listener {
	return slices.DeleteFunc([]*listener{s.clients, s.transparent, s.admins}, func(l *listener) bool { return l == nil })
}

// Listen binds the addresses, all or none. Connections made from now on wait for Serve.
func (s *Server) Listen(ctx context.Context) error {
	for _, l := range s.listeners() {
		if err := l.listen(ctx); err != nil {
			s.close()
			return err
		}
	}
	return nil
}

// Addr is the bound address, with the real port; nil before Listen.
func (s *Server) Addr() net.Addr { return s.clients.addr() }

// TransparentAddr is the bound address of the transparent proxy; nil before Listen, and where there is none.
func (s *Server) TransparentAddr() net.Addr { return s.transparent.addr() }

// AdminAddr is the bound address for administrators; nil before Listen, and where there is none.
func (s *Server) AdminAddr() net.Addr { return s.admins.addr() }

// Serve answers requests until Shutdown, and then gives nil. Any other end is an error, and ends all of it: a server
// that has lost one of its addresses must not look well on the other.
func (s *Server) Serve() error {
	var serving errgroup.Group
	for _, l := range s.listeners() {
		serving.Go(func() error {
			err := l.serve()
			if err != nil {
				s.close()
			}
			return err
		})
	}
	return serving.Wait()
}

// Drain turns readiness off, answers those who wait with what there is, and asks clients to leave their connections.
// Requests are served as before. It does not block.
func (s *Server) Drain() { s.drain() }

// Shutdown drains, stops listening and waits for running requests. When ctx ends first it cuts them off and gives an
// error. Administrators go last: health and metrics are to be seen until the work is done.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	var clients errgroup.Group
	for _, l := range s.listeners() {
		if l != s.admins {
			clients.Go(func() error { return l.shutdown(ctx) })
		}
	}
	err := clients.Wait()
	if s.admins == nil {
		return err
	}
	return errors.Join(err, s.admins.shutdown(ctx))
}

// close cuts everything off.
func (s *Server) close() {
	for _, l := range s.listeners() {
		l.close()
	}
}
