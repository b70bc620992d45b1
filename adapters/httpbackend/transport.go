package httpbackend

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/http2"
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
	host          string // of the URL
	maxIdle       int
	headerTimeout time.Duration

	streamErrors atomic.Int64 // streams that the backend ended with PROTOCOL_ERROR

	mu        sync.Mutex
	dialer    *dialer // replaced, never changed
	transport *http.Transport
	since     time.Time
}

func newPool(e *Endpoint, host string, maxIdle int) *pool {
	p := &pool{
		host:          host,
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

// newTransport returns one that dials as is right now. It is called with mu held, or before anybody else has the pool.
func (p *pool) newTransport() *http.Transport {
	transport := &http.Transport{
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
	// Go 1.26 does not call HTTP2Config.CountError for a transport; the module that its HTTP/2 is made of does.
	secure, err := http2.ConfigureTransports(transport) //nolint:staticcheck // deprecated for a field without effect
	if err == nil {                                     // it fails if that was done before
		secure.CountError = p.countError //nolint:staticcheck // as above
	}
	return transport
}

// countError is called before a call gets the error.
func (p *pool) countError(kind string) {
	if kind == "recv_rststream_PROTOCOL_ERROR" {
		p.streamErrors.Add(1)
	}
}

// current returns the transport for a new call. After each connectionAge it is a new one, whose connections look up the
// name again. Connections of the old one get no new calls: idle ones close at once, those of HTTP/1.1 after their call,
// and those of HTTP/2 after idleTimeout without calls.
func (p *pool) current() *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.since) >= connectionAge {
		p.replace()
	}
	return p.transport
}

// renew makes new calls use new connections, with another TLS configuration.
func (p *pool) renew(given *tls.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := *p.dialer
	next.secure = tlsFor(given, p.host)
	p.dialer = &next
	p.replace()
}

// replace is called with mu held.
func (p *pool) replace() {
	old := p.transport
	p.transport, p.since = p.newTransport(), time.Now()
	old.CloseIdleConnections()
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
	step    string
	err     error
	starved bool // a name lookup failed while there was no file descriptor
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
		return nil, &connectError{step: "connecting", err: err, starved: starved(err)}
	}
	return &conn{Conn: c, secure: secure}, nil
}

// starved reports whether a name lookup failed while this process had no file descriptor left: net drops the cause.
func starved(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); !ok {
		return false
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
	}
	_ = file.Close()
	return false
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
		_ = conn.Close() // the error of the handshake is the one that matters
		return nil, &connectError{step: "the TLS handshake", err: err}
	}
	return secure, nil
}
