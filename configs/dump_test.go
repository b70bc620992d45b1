package configs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const dumped = `
server: {host: "::", public_url: https://hqm.example.com, max_body_size: 1500, read_timeout: 90s,
  admin_listen: "[::1]:8001", rate_limit: {rps: 0.25}, trusted_proxies: ["fd00::/8"], api_keys: [
    {name: "1", sha256: 2C26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e700, endpoints: [a.b, "123"]},
    {name: "no", sha256: fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9, endpoints: [], admin: true}]}
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
      rate_limit: {rps: 10}
      breaker: {ratio: 0}
    a.b:
      url: https://b
      auth: {type: api_key, token: s3cret}
      tls: {ca_file: /etc/ca.pem}
redis: {url: "redis://user:s3cret@host"}
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
	require.Contains(t, string(text), "  api_keys:\n    - name: \"1\"\n      sha256: 2C26")
	again := loadYAML(t, string(text))

	second, err := again.YAML()
	require.NoError(t, err)
	require.Equal(t, string(text), string(second))
	for _, c := range []*Config{&config, &again} {
		c.origins = nil
		require.True(t, c.Redis.URL.IsSet())
		c.Redis.URL = Secret{}
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
	require.Equal(t, 5, strings.Count(string(text), mask))
}
