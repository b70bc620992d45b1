// Package httpapi is the inbound HTTP adapter: it turns requests into calls of the driving ports, and their results
// into JSON. Payloads and results pass through byte for byte; nothing here decodes and encodes them again.
//
// Where to look: server.go and listener.go open the addresses; api.go has the routes and the middleware; access.go,
// clientaddr.go and ratelimit.go decide who may do how much. submit*.go and submission*.go accept documents, proxy*.go
// anything else, with prefer.go and idempotency.go for both. poll.go and replay.go answer questions about requests,
// deadletter*.go about dead letters; *documents.go write the JSON. body*.go and answerbudget.go bound memory, and
// problem.go turns errors into answers.
package httpapi

import (
	"context"
	"crypto/tls"
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
	// maxHeaderBlock bounds request line and fields together, in bytes. net/http reads headerSlop more than configured:
	// 4 KiB, and what it needs to recognize HTTP/2.
	maxHeaderBlock = 64 << 10
	headerSlop     = 4<<10 + len("PRI * HTTP/2.0")

	// idleTimeout is how long a connection may wait for its next request; the default of nginx's keepalive_timeout.
	idleTimeout = 75 * time.Second

	// headerTimeout is how long a client may take to send a header, from its first byte or, on a new connection, from the
	// beginning.
	headerTimeout = 10 * time.Second

	// callTimeout bounds a call of a port, in addition to the time that the client asked to wait.
	callTimeout = 30 * time.Second
)

// Options configures a Server. All fields are required, except those that say what they mean when empty.
type Options struct {
	Address      string      // host:port to listen on; port 0 is any free one
	AdminAddress string      // of a second listener, for administrators only; empty: none
	Transparent  Transparent // another address that is one endpoint; zero: none
	TLS          *tls.Config // of Address and Transparent; nil: they are clear
	AdminTLS     *tls.Config // of AdminAddress; nil: it is clear
	PublicURL    string      // scheme, host and path prefix that clients use; makes Location absolute; empty: it is a path
	Version      string      // shown by / and /health
	Pseudonym    string      // our name in Via: requests with it have been through here

	Submitter   ports.Submitter
	Poller      ports.Poller
	Canceller   ports.Canceller
	DeadLetters ports.DeadLetters
	Resender    ports.Resender
	Backups     ports.Backups          // nil: none are made
	Probes      map[string]ports.Probe // by component name, for /health; empty: nothing to probe
	Metrics     http.Handler           // answers /metrics
	HealthOnly  bool                   // serve only health and metrics: requests go to other processes
	Observer    RequestObserver
	Logger      *slog.Logger
	Now         func() time.Time

	Hosts          []string   // names of this server, beside addresses and local ones; "*." and "*" are wildcards
	Keys           []Key      // requests must have one of them; empty: everybody may do everything
	RateLimit      RateLimit  // of each client; zero: none
	TrustedProxies ProxyTrust // whose X-Forwarded fields count; empty: nobody's

	MaxBodySize      int64         // bytes of one request body
	MaxBodyBytes     int64         // bytes of all bodies over 64 KiB held at once; at least MaxBodySize is used
	MaxResponseBytes int64         // bytes of all results over 64 KiB being sent at once; one always fits
	ReadTimeout      time.Duration // to receive a request, and for a client to read a piece of an answer
	MaxConnections   int           // open at once, on each address but the administrative one
	AdminConnections int           // open at once on the administrative address
	Shortage         *Shortage     // notes when connections or descriptors run out
}

// Server serves the HTTP interface. Call Listen first, and once. The other methods are then safe for concurrent use;
// Drain and Shutdown may be called repeatedly.
type Server struct {
	clients     *listener
	transparent *listener // nil: there is none
	admins      *listener // nil: there is none
	drain       context.CancelFunc
}

// New returns a server that does not listen yet.
func New(opts Options) *Server {
	draining, drain := context.WithCancel(context.Background())
	a := newAPI(draining, opts)
	s := &Server{drain: drain}
	s.clients = newListener("HTTP", opts.Address, opts.MaxConnections, opts.TLS, a.handler(), opts)
	a.mainPort = s.clients.port
	if t := opts.Transparent; t.Address != "" {
		engine := a.proxyEngine(front{endpoint: t.Endpoint})
		s.transparent = newListener("the transparent proxy", t.Address, opts.MaxConnections, opts.TLS, engine, opts)
		s.transparent.server.DisableGeneralOptionsHandler = true // net/http would answer "OPTIONS *" itself
	}
	if opts.AdminAddress != "" {
		engine := a.adminEngine()
		s.admins = newListener("administration", opts.AdminAddress, opts.AdminConnections, opts.AdminTLS, engine, opts)
	}
	return s
}

// listeners returns those that are configured.
func (s *Server) listeners() []*listener {
	return slices.DeleteFunc([]*listener{s.clients, s.transparent, s.admins}, func(l *listener) bool { return l == nil })
}

// Listen binds all addresses, or returns an error and binds none. New connections wait for Serve.
func (s *Server) Listen(ctx context.Context) error {
	for _, l := range s.listeners() {
		if err := l.listen(ctx); err != nil {
			s.close()
			return err
		}
	}
	return nil
}

// Addr returns the bound address, with the real port; nil before Listen.
func (s *Server) Addr() net.Addr { return s.clients.addr() }

// TransparentAddr returns the bound address of the transparent proxy; nil before Listen, and where there is none.
func (s *Server) TransparentAddr() net.Addr { return s.transparent.addr() }

// AdminAddr returns the bound address for administrators; nil before Listen, and where there is none.
func (s *Server) AdminAddr() net.Addr { return s.admins.addr() }

// Serve answers requests until Shutdown, and then returns nil. When one address fails, Serve closes the others and
// returns the error: a server that has lost an address must not look healthy on another.
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

// Drain turns readiness off, ends the waiting of clients with a 202, and asks them to close their connections. Requests
// are still served. It does not block.
func (s *Server) Drain() { s.drain() }

// Shutdown drains, stops listening and waits for running requests. When ctx ends first it cuts them off and returns an
// error. The administrative address closes last, so that health and metrics are visible until then.
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

// close ends all connections.
func (s *Server) close() {
	for _, l := range s.listeners() {
		l.close()
	}
}
