package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// maxStreams is how many concurrent requests one HTTP/2 connection may have: the minimum that RFC 9113 section 6.5.2
// recommends.
const maxStreams = 100

// listener is one address and what is served there.
type listener struct {
	name           string // in errors
	address        string
	maxConnections int
	exempt         func(netip.Addr) bool // whose connections are not counted by client
	shortage       *Shortage
	socket         *places // nil before listen
	server         http.Server
}

// newListener returns a listener that does not listen yet. Without a TLS configuration it is clear.
func newListener(
	name, address string, maxConnections int, secure *tls.Config, handler http.Handler, opts Options,
) *listener {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(secure != nil)            // by ALPN (RFC 9113 section 3.2)
	protocols.SetUnencryptedHTTP2(secure == nil) // with prior knowledge (RFC 9113 section 3.3)
	return &listener{
		name:           name,
		address:        address,
		maxConnections: maxConnections,
		// Behind a proxy, or on this machine, one address is many clients.
		exempt:   func(a netip.Addr) bool { return !a.IsValid() || a.IsLoopback() || opts.TrustedProxies.trusts(a) },
		shortage: opts.Shortage,
		server: http.Server{
			Handler:   whilePresent(handler),
			Protocols: &protocols,
			TLSConfig: secure.Clone(), // net/http completes it
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams: maxStreams,
				// What arrives before a handler reads it is not counted in the budget of bodies, so one request may buffer
				// no more than a small body. The connection may buffer more, so that one unread request does not block all
				// others; but not much more, as there may be Options.MaxConnections of them.
				MaxReceiveBufferPerConnection: 2 * smallBody,
				MaxReceiveBufferPerStream:     smallBody,
				WriteByteTimeout:              opts.ReadTimeout,
			},
			MaxHeaderBytes:    maxHeaderBlock - headerSlop,
			ReadHeaderTimeout: min(headerTimeout, opts.ReadTimeout),
			ConnContext:       introduce,
			// For header and body together, whether or not a handler reads the body. A handler may wait longer after that.
			ReadTimeout: opts.ReadTimeout,
			// For what api.respond does not write. It covers everything before: getting room for a body, reading it, and
			// waiting for a result.
			WriteTimeout: 3*opts.ReadTimeout + maxWait + callTimeout,
			IdleTimeout:  idleTimeout,
			ErrorLog:     log.New(&strangers{logger: opts.Logger, now: opts.Now}, "", 0),
		},
	}
}

// strangersPause is the shortest time between two log lines about connections that failed.
const strangersPause = time.Minute

// strangers logs what net/http has to say about connections, which is what strangers send: wrong protocols, failed TLS
// handshakes. They decide how much that is, so it is one line a minute at most.
type strangers struct {
	logger *slog.Logger
	now    func() time.Time

	mu    sync.Mutex
	next  time.Time
	count int
}

// Write logs a line of net/http, or only counts it.
func (s *strangers) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if now := s.now(); !now.Before(s.next) {
		s.logger.Warn("connections of clients failed", "times", s.count, "last", strings.TrimSpace(string(line)))
		s.next, s.count = now.Add(strangersPause), 0
	}
	return len(line), nil
}

func (l *listener) listen(ctx context.Context) error {
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", l.name, err)
	}
	l.use(socket)
	return nil
}

// use has the server serve what a socket accepts.
func (l *listener) use(socket net.Listener) {
	l.socket = newPlaces(socket, l.maxConnections, l.exempt, l.shortage)
	l.server.ConnState = l.socket.note
}

// addr is nil before listen, and for a nil listener.
func (l *listener) addr() net.Addr {
	if l == nil || l.socket == nil {
		return nil
	}
	return l.socket.Addr()
}

// port returns the port of the bound address.
func (l *listener) port() string {
	_, port, _ := net.SplitHostPort(l.addr().String())
	return port
}

// serve blocks until shutdown or close, and then returns nil.
func (l *listener) serve() error {
	if l.socket == nil {
		return fmt.Errorf("serve %s: not listening", l.name)
	}
	serve := l.server.Serve
	if l.server.TLSConfig != nil {
		serve = func(socket net.Listener) error { return l.server.ServeTLS(socket, "", "") }
	}
	if err := serve(l.socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.name, err)
	}
	return nil
}

// shutdown stops listening and waits for running requests. When ctx ends first it cuts them off and returns an error.
func (l *listener) shutdown(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	l.close()
	if err != nil {
		return fmt.Errorf("shut down %s: %w", l.name, err)
	}
	return nil
}

// close ends all connections. It ignores errors: they concern connections that are abandoned anyway, or a socket that
// is already closed.
func (l *listener) close() {
	_ = l.server.Close()
	if l.socket != nil {
		l.socket.cutOff()
		_ = l.socket.Close() // needed where serve was never called
	}
}
