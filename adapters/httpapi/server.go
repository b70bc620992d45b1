// Package httpapi is the inbound HTTP adapter: it turns requests into calls of the driving ports and their answers
// into JSON. Payloads and results pass through it as the bytes they are; nothing here decodes and encodes them again.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/openhqm/openhqm/ports"
)

const (
	// maxHeaderBlock bounds request line and fields together, in bytes. net/http reads headerSlop more than it is told.
	maxHeaderBlock = 64 << 10
	headerSlop     = 4 << 10

	// idleTimeout is how long a connection may wait for its next request: nginx's keepalive_timeout.
	idleTimeout = 75 * time.Second

	// callTimeout bounds a call of a port, on top of the time it was asked to wait.
	callTimeout = 30 * time.Second
)

// Options is what a Server is made of. All fields are needed except PublicURL and Probes.
type Options struct {
	Address   string // host:port to listen on; port 0 is any free one
	PublicURL string // scheme, host and path prefix that clients use; makes Location absolute
	Version   string // shown by /health

	Submitter ports.Submitter
	Poller    ports.Poller
	Canceller ports.Canceller
	Probes    map[string]ports.Probe // by component name, for /health
	Metrics   http.Handler           // answers /metrics
	Observer  RequestObserver
	Logger    *slog.Logger
	Now       func() time.Time

	MaxBodySize    int64         // bytes of one request body
	MaxBodyBytes   int64         // bytes of all bodies over 64 KiB that are held at once; at least MaxBodySize is used
	ReadTimeout    time.Duration // for a request, and for a client to take a piece of an answer
	MaxConnections int           // open at once; further ones wait in the kernel's backlog
}

// Server serves the HTTP interface. Listen comes first, and only once; the other methods may then be called from any
// goroutine, Drain and Shutdown more than once.
type Server struct {
	address        string
	maxConnections int
	listener       net.Listener
	server         http.Server
	drain          context.CancelFunc
}

// New makes a server that does not listen yet.
func New(opts Options) *Server {
	draining, drain := context.WithCancel(context.Background())
	return &Server{
		address:        opts.Address,
		maxConnections: opts.MaxConnections,
		drain:          drain,
		server: http.Server{
			Handler:        newAPI(draining, opts).engine(),
			MaxHeaderBytes: maxHeaderBlock - headerSlop,
			// For header and body together, whether a handler reads the body or not. With the body its work is done: a
			// handler may wait for longer.
			ReadTimeout: opts.ReadTimeout,
			// For what is not written by api.respond. It allows for all that may come before: finding room for a body,
			// reading it, waiting for a result.
			WriteTimeout: 3*opts.ReadTimeout + maxWait + callTimeout,
			IdleTimeout:  idleTimeout,
			ErrorLog:     slog.NewLogLogger(opts.Logger.Handler(), slog.LevelWarn),
		},
	}
}

// Listen binds the address. Connections made from now on wait for Serve.
func (s *Server) Listen(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	s.listener = netutil.LimitListener(listener, s.maxConnections)
	return nil
}

// Addr is the bound address, with the real port; nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Serve answers requests until Shutdown, and then gives nil. Any other end is an error.
func (s *Server) Serve() error {
	if s.listener == nil {
		return errors.New("serve HTTP: not listening")
	}
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Drain turns readiness off, answers those who wait with what there is, and asks clients to leave their connections.
// Requests are served as before. It does not block.
func (s *Server) Drain() { s.drain() }

// Shutdown drains, stops listening and waits for running requests. When ctx ends first it cuts them off and gives an
// error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	err := s.server.Shutdown(ctx)
	if s.listener != nil {
		_ = s.listener.Close() // a second time after Serve; the first and only one without it
	}
	if err != nil {
		_ = s.server.Close() // its error is that of connections which are given up anyway
		return fmt.Errorf("shut down HTTP: %w", err)
	}
	return nil
}
