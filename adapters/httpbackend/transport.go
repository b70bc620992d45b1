package httpbackend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of a connection. Only its context limits a whole call.
const (
	idleTimeout = 90 * time.Second

	// An HTTP/2 connection carries many calls. Pings find one that died silently, before all its calls time out.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second

	// maxResponseHeader bounds the header of a response in bytes, including interim responses (1xx). It is as large as the
	// one that we accept from clients.
	maxResponseHeader = 64 << 10

	// connectionAge is how long new calls use a connection. Otherwise one that is never idle would keep an address for
	// ever that the backend's name no longer has.
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
		dialer:        &dialer{connect: new(net.Dialer).DialContext, secure: tlsFor(e.TLS, host), timeout: e.DialTimeout},
		maxIdle:       maxIdle,
		headerTimeout: e.HeaderTimeout,
		since:         time.Now(),
	}
	p.transport = p.newTransport()
	return p
}

// tlsFor returns a copy of a configuration that names the host and our protocols.
func tlsFor(given *tls.Config, host string) *tls.Config {
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
		Proxy:                  stopHTTP1,
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

// current returns the transport for a new call. After each connectionAge it is a new one, whose connections look up the
// name again. Connections of the old one get no new calls: idle ones close at once, those of HTTP/1.1 after their call,
// and those of HTTP/2 after idleTimeout without calls.
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

// dialer returns a connectError for whatever fails before a request can be sent; not all such errors of net/http have a
// type of their own.
type dialer struct {
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	secure  *tls.Config
	timeout time.Duration // for a new connection: name lookup, connecting and the TLS handshake
}

// connectError is the error of a connection that could not be made.
type connectError struct {
	step string
	err  error
}

func (e *connectError) Error() string { return e.step + ": " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, &connectError{step: "connecting", err: err}
	}
	return conn, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(alertedConn{conn}, d.secure)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the error of the handshake is the one that matters
		return nil, &connectError{step: "the TLS handshake", err: err}
	}
	return secure, nil
}

// alertedConn is the connection under TLS. When it just ends, its reader gets an error. Between two records crypto/tls
// would accept that as the end, but an attacker can cut a connection there. After a closure alert TLS reads no further.
// So a response that is delimited by the end of its connection is complete only with the alert (RFC 9112 section 9.8).
type alertedConn struct{ net.Conn }

func (c alertedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		// As net returns for a broken connection: net/http and its HTTP/2 check for this type.
		err = &net.OpError{Op: "read", Net: "tcp", Err: io.ErrUnexpectedEOF}
	}
	return n, err
}
