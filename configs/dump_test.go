package configs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const dumped = `
server: {host: "::", public_url: https://hqm.example.com, max_body_size: 1500, read_timeout: 90s}
embedded: {dir: "/data/$${NAME} # \"x\": é"}
retry: {jitter: 0.00001, on_status: []}
proxy:
  default_endpoint: "123"
  endpoints:
    "123":
      url: http://a
      headers: {X-A: s3cret, X-B: "${TOKEN}"}
      auth: {type: basic, username: "null", password: file:/run/s3cret}
      retry: {base: 1m30s, max: 2h}
    a.b:
      url: https://b
      auth: {type: api_key, token: s3cret}
      tls: {ca_file: /etc/ca.pem}
`

func TestTheDumpHasTheOrderOfTheDefaults(t *testing.T) {
	t.Parallel()
	config, _, err := Load(Sources{})
	require.NoError(t, err)
	text, err := config.YAML()
	require.NoError(t, err)
	require.Equal(t, keysIn(parse(t, string(defaults)), schema, nil), keysIn(parse(t, string(text)), schema, nil))
	require.Contains(t, string(text), "max_body_size: 10MiB\n  read_timeout: 1m\n")
}

func TestTheDumpLoadsAgain(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, dumped)
	text, err := config.YAML()
	require.NoError(t, err)
	again := loadYAML(t, string(text))

	second, err := again.YAML()
	require.NoError(t, err)
	require.Equal(t, string(text), string(second))
	for _, c := range []*Config{&config, &again} {
		c.origins = nil
		for name, endpoint := range c.Proxy.Endpoints { // the masks are all that is lost
			require.Equal(t, name == "123", endpoint.Auth.Password.IsSet())
			endpoint.Headers, endpoint.Auth.Token, endpoint.Auth.Password = nil, Secret{}, Secret{}
			c.Proxy.Endpoints[name] = endpoint
		}
	}
	require.Equal(t, config, again)
}

func TestTheDumpShowsNoSecret(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, dumped)
	text, err := config.YAML()
	require.NoError(t, err)
	require.NotContains(t, string(text), "s3cret")
	require.NotContains(t, string(text), "TOKEN")
	require.Equal(t, 4, strings.Count(string(text), mask))
}
