package httpbackend

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of a connection. A whole call is limited by its context alone.
const (
	idleTimeout = 90 * time.Second

	// An HTTP/2 connection carries many calls: one that died silently is found by a ping, not by all of their timeouts.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second

	// maxResponseHeader bounds the header block of a response in bytes, interim responses (1xx) included. It is as
	// large as the one we take from clients.
	maxResponseHeader = 64 << 10

	// connectionAge is for how long new calls use a connection. One that is never idle would otherwise stay for ever
	// with an address that the backend's name has left.
	connectionAge = 5 * time.Minute
)

// pool holds the connections of one endpoint. It is safe for concurrent use.
type pool struct {
	dialer        *dialer
	maxIdle       int
	headerTimeout time.Duration

	mu        sync.Mutex
	transport *http.Transport
	since     time.Time
}

func newPool(e *Endpoint, host string, maxIdle int) *pool {
	p := &pool{
		dialer:        &dialer{connect: new(net.Dialer).DialContext, secure: secured(e.TLS, host), timeout: e.DialTimeout},
		maxIdle:       maxIdle,
		headerTimeout: e.HeaderTimeout,
		since:         time.Now(),
	}
	p.transport = p.newTransport()
	return p
}

// secured fits a configuration to a host and to what we speak, without changing the original.
func secured(given *tls.Config, host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if given != nil {
		config = given.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	return config
}

func (p *pool) newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  stopSecondTry,
		DialContext:            p.dialer.dial,
		DialTLSContext:         p.dialer.dialTLS,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    p.maxIdle,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  p.headerTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// current gives the transport for a call that begins now. Once in a connectionAge it is a new one, whose connections
// look the name up again. Those of the old one get no new calls: what is idle closes at once, an HTTP/1.1 connection
// after its call, and an HTTP/2 one when it has been without calls for idleTimeout.
func (p *pool) current() *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.since) >= connectionAge {
		old := p.transport
		p.transport, p.since = p.newTransport(), now
		old.CloseIdleConnections()
	}
	return p.transport
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.transport.CloseIdleConnections()
}

// dialer marks what goes wrong before a request can be sent, which net/http leaves untyped in part.
type dialer struct {
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	secure  *tls.Config
	timeout time.Duration // of a connection: name lookup, connecting, and the TLS handshake
}

// connectError is a connection that did not come about.
type connectError struct {
	step string
	err  error
}

func (e *connectError) Error() string { return e.step + ": " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return d.open(ctx, network, address, false)
}

func (d *dialer) open(ctx context.Context, network, address string, secure bool) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	c, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, &connectError{step: "connecting", err: err}
	}
	return &conn{Conn: c, secure: secure}, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.open(ctx, network, address, true)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, d.secure)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error says it all
		return nil, &connectError{step: "the TLS handshake", err: err}
	}
	return secure, nil
}
