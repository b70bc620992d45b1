package configs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesOfSecretsAndCertificates(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", `
redis: {url: "file:${DIR}/url", tls: {ca_file: /ca, cert_file: /cert, key_file: /key}}
proxy:
  endpoints:
    all:
      url: https://a
      headers: {X-A: file:/a, X-B: plain}
      auth: {type: bearer, token: file:/token}
      tls: {ca_file: /ca}
    basic: {url: "https://a", auth: {type: basic, username: u, password: file:/password}}
    none: {url: "https://a", auth: {type: bearer, token: "${MISSING}"}}
`)
	config, _, err := Load(Sources{File: file, Environ: []string{"DIR=/run"}})
	require.NoError(t, err)

	require.Equal(t, []string{"/run/url", "/ca", "/cert", "/key"}, config.Redis.Files())
	for name, want := range map[string][]string{
		"all": {"/a", "/token", "/ca"}, "basic": {"/password"}, "none": nil,
	} {
		endpoint := config.Proxy.Endpoints[name]
		require.Equal(t, want, endpoint.Files(), name)
	}
}
