package bootstrap

import (
	"crypto/tls"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/configs"
)

func TestServerTLSIsReadAgainWhenItsFilesChange(t *testing.T) {
	t.Parallel()
	certFile, keyFile := newCertificate(t)
	r := newRotations(slog.New(slog.DiscardHandler))
	section := configs.ServerTLS{CertFile: certFile, KeyFile: keyFile, ClientCAFile: certFile}
	config, err := serverTLS("server.tls", section, r)
	require.NoError(t, err)
	first, err := config.GetConfigForClient(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"h2", "http/1.1"}, first.NextProtos)
	require.Equal(t, tls.RequireAndVerifyClientCert, first.ClientAuth)
	require.NotNil(t, first.ClientCAs)
	require.EqualValues(t, tls.VersionTLS12, first.MinVersion)

	nextCert, nextKey := newCertificate(t)
	require.NoError(t, os.Rename(nextCert, certFile))
	require.Error(t, r.all[0].apply(), "the key is another one's")
	same, err := config.GetConfigForClient(nil)
	require.NoError(t, err)
	require.Same(t, first, same)
	require.NoError(t, os.Rename(nextKey, keyFile))
	require.NoError(t, r.all[0].apply())
	second, err := config.GetConfigForClient(nil)
	require.NoError(t, err)
	require.NotEqual(t, first.Certificates[0].Certificate, second.Certificates[0].Certificate)
}

func TestServerTLSNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	certFile, keyFile := newCertificate(t)
	none, err := serverTLS("server.tls", configs.ServerTLS{}, newRotations(nil))
	require.NoError(t, err)
	require.Nil(t, none)
	for want, give := range map[string]configs.ServerTLS{
		"server.tls: cert_file and key_file: open /none": {CertFile: certFile, KeyFile: "/none"},
		"server.tls: client_ca_file: open /none":         {CertFile: certFile, KeyFile: keyFile, ClientCAFile: "/none"},
		"server.tls: client_ca_file: no certificate in " + keyFile: {
			CertFile: certFile, KeyFile: keyFile, ClientCAFile: keyFile,
		},
	} {
		_, err := serverTLS("server.tls", give, newRotations(nil))
		require.ErrorContains(t, err, want)
	}
}
