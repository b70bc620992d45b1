package httpbackend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Limits of a connection. A whole call is limited by its context alone.
const (
	dialTimeout      = 10 * time.Second // name lookup included
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second

	// An HTTP/2 connection carries many calls: one that died silently is found by a ping, not by all of their timeouts.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second

	// maxResponseHeader bounds the header block of a response in bytes, interim responses (1xx) included. It is as
	// large as the one we take from clients.
	maxResponseHeader = 64 << 10
)

// TLS says how the backend is verified, and who we are. The zero value verifies against the system's authorities.
type TLS struct {
	CAFile     string // PEM; these authorities instead of the system's
	CertFile   string // PEM; our certificate, with KeyFile
	KeyFile    string
	ServerName string // to ask for and to verify, in place of the URL's host
}

func (t TLS) config(host string) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: host,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if t.ServerName != "" {
		config.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: no certificate in %s", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("cert_file and key_file go together")
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// newTransport makes the connection pool of one endpoint.
func newTransport(secure *tls.Config, maxIdle int) *http.Transport {
	d := &dialer{plain: net.Dialer{Timeout: dialTimeout}, secure: secure}
	return &http.Transport{
		Proxy:                  stopHTTP1,
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// dialer marks what goes wrong before a request can be sent, which net/http leaves untyped in part.
type dialer struct {
	plain  net.Dialer
	secure *tls.Config
}

// connectError is a connection that did not come about.
type connectError struct {
	step string
	err  error
}

func (e *connectError) Error() string { return e.step + ": " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, &connectError{step: "connecting", err: err}
	}
	return conn, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return d.handshake(ctx, conn)
}

func (d *dialer) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Client(conn, d.secure)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error says it all
		return nil, &connectError{step: "the TLS handshake", err: err}
	}
	return secure, nil
}
