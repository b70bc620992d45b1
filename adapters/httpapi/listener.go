package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/net/netutil"
)

// maxStreams is how many requests one HTTP/2 connection may have under way: the least that RFC 9113 section 6.5.2
// recommends.
const maxStreams = 100

// listener is one address and what is served there.
type listener struct {
	name           string // for errors
	address        string
	maxConnections int
	socket         net.Listener // nil before listen
	server         http.Server
}

func newListener(name, address string, maxConnections int, handler http.Handler, opts Options) *listener {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // with prior knowledge (RFC 9113 section 3.3)
	return &listener{
		name:           name,
		address:        address,
		maxConnections: maxConnections,
		server: http.Server{
			Handler:   handler,
			Protocols: &protocols,
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams: maxStreams,
				// What arrives before a handler reads it takes no room in the budget of bodies, so of one request it may
				// be as much as a small body. The connection may have more, or a request that is not read yet would keep
				// all others from being sent; but not much more, as there may be Options.MaxConnections of them.
				MaxReceiveBufferPerConnection: 2 * smallBody,
				MaxReceiveBufferPerStream:     smallBody,
				WriteByteTimeout:              opts.ReadTimeout,
			},
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

func (l *listener) listen(ctx context.Context) error {
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", l.name, err)
	}
	l.socket = netutil.LimitListener(socket, l.maxConnections)
	return nil
}

// addr is nil before listen, and of no door.
func (l *listener) addr() net.Addr {
	if l == nil || l.socket == nil {
		return nil
	}
	return l.socket.Addr()
}

// port is that of the bound address.
func (l *listener) port() string {
	_, port, _ := net.SplitHostPort(l.addr().String())
	return port
}

// serve blocks until shutdown or close, and then gives nil.
func (l *listener) serve() error {
	if l.socket == nil {
		return fmt.Errorf("serve %s: not listening", l.name)
	}
	if err := l.server.Serve(l.socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.name, err)
	}
	return nil
}

// shutdown stops listening and waits for running requests; when ctx ends first it cuts them off and gives an error.
func (l *listener) shutdown(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	l.close()
	if err != nil {
		return fmt.Errorf("shut down %s: %w", l.name, err)
	}
	return nil
}

// close cuts everything off. Its errors are those of connections that are given up anyway, and of a listener that is
// closed already.
func (l *listener) close() {
	_ = l.server.Close()
	if l.socket != nil {
		_ = l.socket.Close() // the first time where serve was never called
	}
}
