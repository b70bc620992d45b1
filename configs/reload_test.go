package configs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheReadmeListsTheKeysThatCanBeReloaded(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	section := regexp.MustCompile(`(?s)## Changing a running process\n.*?\n## `).Find(readme)
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z._]+)` \\|").FindAllSubmatch(section, -1) {
		listed = append(listed, string(row[1]))
	}
	require.Equal(t, reloadable, listed)
}

func TestEveryReloadableKeyExists(t *testing.T) {
	t.Parallel()
	for _, key := range reloadable {
		s := schema
		for name := range strings.SplitSeq(key, ".") {
			s = s.field(name)
			require.NotNil(t, s, key)
		}
	}
}

// TestEveryDictIsReloadable holds what Reload relies on.
func TestEveryDictIsReloadable(t *testing.T) {
	t.Parallel()
	var walk func(s *spec, key string)
	walk = func(s *spec, key string) {
		if s.kind == kindDict {
			require.True(t, isReloadable(key), key)
		}
		for _, f := range s.fields {
			walk(f.spec, key+"."+f.name)
		}
	}
	for _, f := range schema.fields {
		walk(f.spec, f.name)
	}
}

func TestAReloadKeepsWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	environ := []string{"A=1", "URL=redis://one"}
	config := func(text string, environ ...string) Config {
		loaded, _, err := Load(Sources{File: write(t, "f.yaml", text), Environ: environ})
		require.NoError(t, err)
		return loaded
	}
	const old = `
log: {level: info}
server: {port: 1}
redis: {url: "${URL}"}
worker: {count: 4}
proxy:
  default_endpoint: a
  endpoints:
    a: {url: "http://a", headers: {X-A: "${A}", X-B: b}, auth: {type: bearer, token: "file:token"}}
    gone: {url: "http://gone"}
`
	const next = `
log: {level: warn, format: json}
server: {port: 2, rate_limit: {rps: 2}}
redis: {url: "${URL}"}
worker: {count: 4, drain: 1s}
proxy:
  default_endpoint: a
  strip_headers: [Cookie]
  endpoints:
    a: {url: "http://other", headers: {X-A: "${A}", X-C: c}, auth: {type: bearer, token: "file:token"}}
    new: {url: "http://new"}
`
	running := config(old, environ...)
	effective, changed, deferred := running.Reload(config(next, "A=2", "URL=redis://two"))
	require.Equal(t, []string{
		"log.level",
		"proxy.endpoints.a.headers.X-A",
		"proxy.endpoints.a.headers.X-B (removed)",
		"proxy.endpoints.a.headers.X-C (added)",
		"proxy.endpoints.a.url",
		"proxy.endpoints.gone (removed)",
		"proxy.endpoints.new (added)",
		"server.rate_limit.burst",
		"server.rate_limit.rps",
	}, changed)
	require.Equal(t, []string{"log.format", "proxy.strip_headers", "redis.url", "server.port", "worker.drain"}, deferred)
	require.Equal(t, running.Server.Port, effective.Server.Port)
	require.Equal(t, running.Redis, effective.Redis)
	require.Equal(t, running.Worker, effective.Worker)
	require.Equal(t, running.Proxy.StripHeaders, effective.Proxy.StripHeaders)
	require.Equal(t, "warn", effective.Log.Level)
	require.InDelta(t, 2, effective.Server.RateLimit.RPS, 0)
	require.ElementsMatch(t, []string{"a", "new"}, effective.Proxy.names())
	value, err := effective.Proxy.Endpoints["a"].Headers["X-A"].Resolve()
	require.NoError(t, err)
	require.Equal(t, "2", value)

	_, changed, deferred = effective.Reload(config(next, "A=2", "URL=redis://one"))
	require.Empty(t, changed)
	require.Equal(t, []string{"log.format", "proxy.strip_headers", "server.port", "worker.drain"}, deferred)
}

// TestASecretThatMovesIsAChange has the same text as a value, as a variable and as the name of a file.
func TestASecretThatMovesIsAChange(t *testing.T) {
	t.Parallel()
	env := environment{"A": "value", "B": "value"}
	secrets := map[string]Secret{
		"value": {reference: "value"}, "variable": {reference: "${A}", env: env}, "other": {reference: "${B}", env: env},
		"file": {reference: "file:value"}, "named": {reference: "file:${A}", env: env},
		"lost": {reference: "${C}", env: env},
	}
	same := map[string]string{"value": "text", "variable": "text", "other": "text", "file": "file", "named": "file"}
	for a := range secrets {
		for b := range secrets {
			require.Equal(t, same[a] == same[b], secrets[a].sameAs(secrets[b]), "%s and %s", a, b)
		}
	}
}
