package bootstrap

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/configs"
)

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// newCertificate writes a certificate that is its own authority, and its key.
func newCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", keyDER)
}

func TestTLSConfig(t *testing.T) {
	t.Parallel()
	certFile, keyFile := newCertificate(t)
	config, err := tlsConfig(configs.TLS{})
	require.NoError(t, err)
	require.Nil(t, config.RootCAs, "those of the system")

	config, err = tlsConfig(configs.TLS{CAFile: certFile, CertFile: certFile, KeyFile: keyFile, ServerName: "a"})
	require.NoError(t, err)
	require.Equal(t, "a", config.ServerName)
	require.Len(t, config.Certificates, 1)
	require.NotNil(t, config.RootCAs)
	require.EqualValues(t, tls.VersionTLS12, config.MinVersion)

	for want, give := range map[string]configs.TLS{
		"ca_file: open /none":                   {CAFile: "/none"},
		"ca_file: no certificate in " + keyFile: {CAFile: keyFile},
		"cert_file and key_file: open /none":    {CertFile: certFile, KeyFile: "/none"},
	} {
		_, err := tlsConfig(give)
		require.ErrorContains(t, err, want)
	}
}
