package configs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes a file in a directory of its own.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// loadYAML loads a configuration file and expects it to be fine.
func loadYAML(t *testing.T, content string, environ ...string) Config {
	t.Helper()
	config, warnings, err := Load(Sources{File: write(t, "openhqm.yaml", content), Environ: environ})
	require.NoError(t, err)
	require.Empty(t, warnings)
	return config
}

// faultsOf loads sources that have faults and returns those, with the directory cut off the path of the file.
func faultsOf(t *testing.T, sources Sources) []string {
	t.Helper()
	_, _, err := Load(sources)
	var report *Error
	require.ErrorAs(t, err, &report)
	return lines(report, filepath.Dir(sources.File))
}

func lines(report *Error, dir string) []string {
	texts := make([]string, 0, len(report.Faults))
	for _, fault := range report.Faults {
		if rel, err := filepath.Rel(dir, fault.Source); err == nil && filepath.IsAbs(fault.Source) {
			fault.Source = rel
		}
		texts = append(texts, fault.String())
	}
	return texts
}

// selfSigned makes a certificate and its key, and returns the paths of both.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}))),
		write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
