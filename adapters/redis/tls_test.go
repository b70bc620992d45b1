package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/ports"
)

// authority signs certificates for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := newTemplate("authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a := &authority{t: t}
	a.cert, a.key = template, newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.file = writePEM(t, "CERTIFICATE", der)
	return a
}

func newTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

// issue returns the files of a certificate and its key.
func (a *authority) issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	key := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, newTemplate(name), a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	return writePEM(a.t, "CERTIFICATE", der), writePEM(a.t, "PRIVATE KEY", keyDER)
}

// trust is the configuration of a client that trusts the authority.
func (a *authority) trust() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func (a *authority) trustWithCertificate() *tls.Config {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue("client"))
	require.NoError(a.t, err)
	config := a.trust()
	config.Certificates = []tls.Certificate{pair}
	return config
}

// startTLSServer starts a server that asks for client certificates of the authority, and returns its address for TLS.
func startTLSServer(t *testing.T, a *authority, args ...string) string {
	t.Helper()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	certFile, keyFile := a.issue("server")
	startServer(t, append([]string{
		"--tls-port", port, "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", a.file,
	}, args...)...)
	return address
}

func TestTLSWithAnAuthorityOfOnesOwn(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	address := startTLSServer(t, ours, "--requirepass", "sesame")
	url := "rediss://:sesame@" + address
	opts := options(url)
	opts.TLS = ours.trustWithCertificate()
	db := openDB(t, opts)
	accept(t, db, newRequest())
	receive(t, consume(t, db))
	require.Empty(t, opts.TLS.ServerName, "what was given is not changed")

	misnamed := ours.trustWithCertificate()
	misnamed.ServerName = "redis.example"
	for _, tt := range []struct {
		name string
		give *tls.Config
		want string
	}{
		{"the system's authorities", nil, "unknown authority"},
		{"another authority", others.trustWithCertificate(), "unknown authority"},
		{"another name", misnamed, "redis.example"},
		{"no certificate", ours.trust(), "certificate required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := options(url)
			opts.TLS = tt.give
			_, err := redis.Open(t.Context(), opts)
			require.ErrorIs(t, err, ports.ErrUnavailable)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, address)
			require.NotContains(t, err.Error(), "sesame")
		})
	}
}
