package httpbackend_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

// authority signs the certificates of a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// trusted is a configuration that trusts the authority, and wants a certificate for host.
func (a authority) trusted(host string, ours ...tls.Certificate) *tls.Config {
	config := trusting(a.certificate)
	config.ServerName, config.Certificates = host, ours
	return config
}

// trusting trusts that one alone.
func trusting(certificate *x509.Certificate) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(certificate)
	return config
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{certificate: certificate, key: key}
}

// issue signs a certificate for host that is valid until then.
func (a authority) issue(t *testing.T, host string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: host},
		DNSNames:     []string{host},
		NotBefore:    until.Add(-2 * time.Hour),
		NotAfter:     until,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveAs starts a TLS server with that certificate; clients is the authority of clients, nil when they need none.
func serveAs(t *testing.T, id tls.Certificate, clients *authority, maxVersion uint16) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, certificate := range r.TLS.PeerCertificates {
			w.Header().Set("X-Client", certificate.Subject.CommonName)
		}
		w.Header().Set("X-Asked", r.TLS.ServerName)
		w.Header().Set("X-Proto", r.Proto)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{id}, MaxVersion: maxVersion}
	if clients != nil {
		server.TLS.ClientAuth = tls.RequireAndVerifyClientCert
		server.TLS.ClientCAs = x509.NewCertPool()
		server.TLS.ClientCAs.AddCert(clients.certificate)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestDoSpeaksTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	later := time.Now().Add(time.Hour)
	id, client := ca.issue(t, "backend.test", later), ca.issue(t, "gateway", later)
	server := serveAs(t, id, &ca, 0)
	config := ca.trusted("backend.test", client)
	c := newClient(t, httpbackend.Endpoint{URL: server.URL, TLS: config})
	require.Empty(t, config.NextProtos, "it belongs to the caller")
	resp := do(t, c, callOf(http.MethodPost, []byte("{}")))
	require.Equal(t, "gateway", resp.Header.Get("X-Client"))
	require.Equal(t, "backend.test", resp.Header.Get("X-Asked"))
	require.Equal(t, "HTTP/2.0", resp.Header.Get("X-Proto"))
}

func TestDoVerifiesTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	later, earlier := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	good, expired := ca.issue(t, "backend.test", later), ca.issue(t, "backend.test", earlier)
	stranger := other.issue(t, "gateway", later)
	trusted, foreign := ca.trusted("backend.test"), ca.trusted("backend.test", stranger)
	tests := []struct {
		name   string
		server *httptest.Server
		give   *tls.Config
		want   domain.FailureKind
		text   string // not where a reset may overtake the server's alert
	}{
		{
			"the system's authorities", serveAs(t, good, nil, 0),
			&tls.Config{ServerName: "backend.test", MinVersion: tls.VersionTLS12},
			domain.FailureUnreachable, "unknown authority",
		},
		{
			"another authority", serveAs(t, good, nil, 0),
			other.trusted("backend.test"),
			domain.FailureUnreachable, "unknown authority",
		},
		{
			"another host", serveAs(t, good, nil, 0),
			ca.trusted(""),
			domain.FailureUnreachable, "the certificate is not",
		},
		{
			"another server_name", serveAs(t, good, nil, 0),
			ca.trusted("a.test"),
			domain.FailureUnreachable, "not for this host",
		},
		{"expired", serveAs(t, expired, nil, 0), trusted, domain.FailureUnreachable, "expired"},
		{
			"no client certificate, TLS 1.2", serveAs(t, good, &ca, tls.VersionTLS12), trusted,
			domain.FailureUnreachable, "",
		},
		{
			"no client certificate, TLS 1.3, where the handshake is over by then", serveAs(t, good, &ca, 0), trusted,
			domain.FailureBroken, "",
		},
		{
			"a stranger's client certificate", serveAs(t, good, &ca, tls.VersionTLS12), foreign,
			domain.FailureUnreachable, "",
		},
		{
			"TLS that is too old", serveAs(t, good, nil, tls.VersionTLS11), trusted,
			domain.FailureUnreachable, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, httpbackend.Endpoint{URL: tt.server.URL, TLS: tt.give})
			resp, err := client.Do(t.Context(), callOf(http.MethodGet, nil))
			failure := requireFailure(t, tt.want, resp, err)
			require.ErrorContains(t, failure, tt.text)
			require.NotContains(t, failure.Error(), "127.0.0.1")
			require.Equal(t, tt.server.Listener.Addr().String(), failure.Address)
		})
	}
}

func TestDoRecognizesAServerWithoutTLS(t *testing.T) {
	t.Parallel()
	server := serve(t, answerAllKinds)
	client := newClient(t, httpbackend.Endpoint{URL: "https" + server.URL[len("http"):]})
	resp, err := client.Do(t.Context(), callOf(http.MethodGet, nil))
	failure := requireFailure(t, domain.FailureUnreachable, resp, err)
	require.ErrorContains(t, failure, "does not speak TLS")
}
