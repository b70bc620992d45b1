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

// door is one address with what is served there.
type door struct {
	name           string // for errors
	address        string
	maxConnections int
	listener       net.Listener // nil before listen
	server         http.Server
}

func newDoor(name, address string, maxConnections int, handler http.Handler, opts Options) *door {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // with prior knowledge (RFC 9113 section 3.3)
	return &door{
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

func (d *door) listen(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", d.address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", d.name, err)
	}
	d.listener = netutil.LimitListener(listener, d.maxConnections)
	return nil
}

// addr is nil before listen, and of no door.
func (d *door) addr() net.Addr {
	if d == nil || d.listener == nil {
		return nil
	}
	return d.listener.Addr()
}

// port is that of the bound address.
func (d *door) port() string {
	_, port, _ := net.SplitHostPort(d.addr().String())
	return port
}

// serve blocks until shutdown or close, and then gives nil.
func (d *door) serve() error {
	if d.listener == nil {
		return fmt.Errorf("serve %s: not listening", d.name)
	}
	if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", d.name, err)
	}
	return nil
}

// shutdown stops listening and waits for running requests; when ctx ends first it cuts them off and gives an error.
func (d *door) shutdown(ctx context.Context) error {
	err := d.server.Shutdown(ctx)
	d.close()
	if err != nil {
		return fmt.Errorf("shut down %s: %w", d.name, err)
	}
	return nil
}

// close cuts everything off. Its errors are those of connections that are given up anyway, and of a listener that is
// closed already.
func (d *door) close() {
	_ = d.server.Close()
	if d.listener != nil {
		_ = d.listener.Close() // the first time where serve was never called
	}
}
