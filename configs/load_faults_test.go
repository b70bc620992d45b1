package configs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// serverKeys is the fault of an unknown key below server.
const serverKeys = "unknown key; allowed here: host, port, admin_listen, tls, admin_tls, public_url, " +
	"max_body_size, read_timeout, max_connections, hosts, shutdown_delay, trusted_proxies, api_keys, rate_limit"

func TestFaultsOfAFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give string
		want []string
	}{
		{give: "server:\n  prot: s3cret\n  hots: s3cret", want: []string{
			"f.yaml:2: server.prot: " + serverKeys,
			"f.yaml:3: server.hots: " + serverKeys,
		}},
		{give: "server: {host: x}\nserver: {port: 1}", want: []string{"f.yaml:2: server: is already in line 1"}},
		{give: "server:\n  port: 1\n  port: 2", want: []string{"f.yaml:3: server.port: is already in line 2"}},
		{give: "server: 5", want: []string{"f.yaml:1: server: must be a mapping of keys to values"}},
		{give: "[]", want: []string{"f.yaml:1: must be a mapping of keys to values"}},
		{give: "text", want: []string{"f.yaml:1: must be a mapping of keys to values"}},
		{give: "[a]: b", want: []string{"f.yaml:1: a key must be plain text"}},
		{give: "role: [all]", want: []string{"f.yaml:1: role: must be a single value"}},
		{give: "role:", want: []string{`f.yaml:1: role: has no value; remove the key, or write ""`}},
		{give: "role: !!str all", want: []string{"f.yaml:1: role: explicit YAML tags are not supported"}},
		{give: "retry: {on_status: 500}", want: []string{"f.yaml:1: retry.on_status: must be a list"}},
		{give: "retry:\n  on_status:\n    - 500\n    - [1]", want: []string{
			"f.yaml:4: retry.on_status: must be a single value",
		}},
		{give: "worker: {timeout: 60}", want: []string{
			`f.yaml:1: worker.timeout: "60": a duration needs a unit, for instance 60s`,
		}},
		{give: "worker: {timeout: 1:30}", want: []string{
			`f.yaml:1: worker.timeout: "1:30": must be a duration, for instance 500ms, 60s or 72h`,
		}},
		{give: "worker: {count: 0x10}", want: []string{`f.yaml:1: worker.count: "0x10": must be a whole number`}},
		{give: "worker: {count: 1.0}", want: []string{`f.yaml:1: worker.count: "1.0": must be a whole number`}},
		{give: "retry: {jitter: .nan}", want: []string{`f.yaml:1: retry.jitter: ".nan": must be a number`}},
		{give: "retry: {jitter: NaN}", want: []string{`f.yaml:1: retry.jitter: "NaN": must be a number`}},
		{give: "retry: {jitter: Inf}", want: []string{`f.yaml:1: retry.jitter: "Inf": must be a number`}},
		{give: "embedded: {min_free: 1GB}", want: []string{
			`f.yaml:1: embedded.min_free: "1GB": must be a size: a whole number with B, KiB, MiB, GiB or TiB, ` +
				"for instance 10MiB",
		}},
		{give: `embedded: {dir: "a\nb"}`, want: []string{
			`f.yaml:1: embedded.dir: "a\nb": must be UTF-8 text without control characters`,
		}},
		{give: "embedded: {dir: \"${MISSING}\"}", want: []string{
			`f.yaml:1: embedded.dir: "${MISSING}": needs variables that are not set: MISSING`,
		}},
		{give: "proxy: {endpoints: {a!: {url: http://a}, é: {}}}", want: []string{
			"f.yaml:1: proxy.endpoints.a!: the name of an endpoint has 1 to 64 of the characters A-Z a-z 0-9 . _ -",
			"f.yaml:1: proxy.endpoints.***: the name of an endpoint has 1 to 64 of the characters A-Z a-z 0-9 . _ -",
		}},
		{give: "proxy: {endpoints: {a: {url: http://a, headers: {\"X\\x1f\": s3cret}}}}", want: []string{
			`f.yaml:1: proxy.endpoints.a.headers.***: not a valid header name (RFC 9110 section 5.6.2)`,
		}},
		{give: "proxy: {endpoints: {a: {url: http://a, auth: {type: bearer, token: \"s3\\ncret\"}}}}", want: []string{
			`f.yaml:1: proxy.endpoints.a.auth.token: ***: must be UTF-8 text without control characters`,
		}},
		{give: "proxy: {endpoints: {a: {url: http://a, auth: {token:s3cret}}}}", want: []string{
			"f.yaml:1: proxy.endpoints.a.auth.***: unknown key; allowed here: type, token, username, password, header",
		}},
		{give: "proxy: {endpoints: {a: {auth: {token: *s3cret}}}}", want: []string{
			"f.yaml: yaml: unknown anchor *** referenced",
		}},
		{give: "role: all\n---\nrole: all", want: []string{"f.yaml: must hold one YAML document"}},
		{give: "role: all\n---\n{", want: []string{"f.yaml: must hold one YAML document"}},
		{give: "role: {", want: []string{"f.yaml: yaml: line 1: did not find expected node content"}},
		{give: "server: &server {<<: [*server, *server]}", want: []string{"f.yaml:1: server: merges itself"}},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			got := faultsOf(t, Sources{File: write(t, "f.yaml", test.give)})
			require.Equal(t, test.want, got)
			require.NotContains(t, strings.Join(got, "\n"), "s3cret")
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := write(t, "f", strings.Repeat("#", maxFile+1))
	for _, test := range []struct {
		give Sources
		want string
	}{
		{give: Sources{File: filepath.Join(dir, "none")}, want: "none: cannot be read: no such file or directory"},
		{give: Sources{File: dir}, want: ": cannot be read: is a directory"},
		{give: Sources{File: large}, want: "f: cannot be read: larger than 1MiB"},
		{give: Sources{DotEnv: dir}, want: ": cannot be read: is a directory"},
		{give: Sources{DotEnv: large}, want: "f: cannot be read: larger than 1MiB"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(test.give)
			require.ErrorContains(t, err, test.want)
		})
	}
	_, _, err := Load(Sources{DotEnv: filepath.Join(dir, "none")})
	require.NoError(t, err)
}

func TestOneErrorListsEveryFault(t *testing.T) {
	t.Parallel()
	got := faultsOf(t, Sources{
		File: write(t, "f.yaml", `
role: boss
server:
  port: 99999
  bind: x
worker:
  timeout: 60
proxy:
  default_endpoint: billing
  endpoints:
    orders:
      method: PUT
      auth:
        type: bearer
`),
		Environ: []string{"OPENHQM_LOG_LEVEL=loud"},
		Flags:   map[string]string{"queue.type": "rabbit"},
	})
	require.Equal(t, []string{
		"f.yaml:5: server.bind: " + serverKeys,
		`f.yaml:7: worker.timeout: "60": a duration needs a unit, for instance 60s`,
		`f.yaml:2: role: "boss": must be one of all, api, worker`,
		`OPENHQM_LOG_LEVEL: log.level: "loud": must be one of debug, info, warn, error`,
		`f.yaml:4: server.port: "99999": must be 0 to 65535`,
		`--queue.type: queue.type: "rabbit": must be one of ` + strings.Join(QueueTypes(), ", "),
		`f.yaml:9: proxy.default_endpoint: "billing": must be empty or one of the endpoints: orders`,
		"f.yaml:11: proxy.endpoints.orders.url: is required",
		"f.yaml:14: proxy.endpoints.orders.auth.token: is required for auth type bearer",
	}, got)
}

func TestAliasesCannotMultiplyWithoutEnd(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("proxy:\n  endpoints:\n    a0: &a {url: http://a, retry: {on_status: &s [500")
	bomb.WriteString(strings.Repeat(",500", 1000) + "]}}\n")
	for i := range 1000 {
		bomb.WriteString("    b" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + ": *a\n")
	}
	got := faultsOf(t, Sources{File: write(t, "f.yaml", bomb.String())})
	require.Contains(t, strings.Join(got, "\n"), "more than 50000 values")
}
