package configs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheDefaults(t *testing.T) {
	t.Parallel()
	config, warnings, err := Load(Sources{})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, Embedded{Dir: "data", MinFree: 256 * mib}, config.Embedded)
	require.Equal(t, Redis{URL: Secret{reference: "redis://localhost:6379"}, Shards: 1}, config.Redis)
	config.origins, config.Sections = nil, Sections{} // the other sections have tests of their own
	require.Equal(t, Config{
		Role: RoleAll,
		Log:  Log{Level: LevelInfo, Format: FormatAuto},
		Server: Server{
			Host: "0.0.0.0", Port: 8000, MaxBodySize: 10 * mib, ReadTimeout: time.Minute, MaxConnections: 20000,
			Hosts: []string{}, TrustedProxies: []string{}, APIKeys: []APIKey{},
			CORS: CORS{Origins: []string{}, Headers: []string{"*"}, MaxAge: 10 * time.Minute},
		},
		Request: Request{MaxAge: 72 * time.Hour, IdempotencyTTL: 24 * time.Hour},
		Queue: Queue{
			Type: QueueEmbedded, Requests: "openhqm-requests", ResponsesMax: 1_000_000, Lease: 20 * time.Second,
			MaxDeliveries: 5,
		},
		Store:  Store{Type: "embedded", TTL: time.Hour, DeadLetterTTL: 168 * time.Hour},
		Worker: Worker{Count: 64, Timeout: 300 * time.Second, Drain: 25 * time.Second, MaxBytes: 256 * mib},
		Retry: Retry{
			MaxAttempts: 4, Base: time.Second, Max: time.Minute, Jitter: 0.2,
			OnStatus: []int{408, 425, 429, 500, 502, 503, 504},
		},
		Proxy: Proxy{
			ForwardHeaders: []string{"*"}, StripHeaders: []string{}, MaxResponseSize: 10 * mib, Forwarded: ForwardedOff,
		},
	}, config)
}

func TestEachSourceWinsOverThoseBefore(t *testing.T) {
	t.Parallel()
	sources := Sources{}
	steps := []struct {
		name string
		add  func()
		want int
	}{
		{name: "defaults", add: func() {}, want: 64},
		{name: "file", add: func() { sources.File = write(t, "f.yaml", "worker: {count: 1, drain: 3s}") }, want: 1},
		{name: "dotenv", add: func() { sources.DotEnv = write(t, ".env", "OPENHQM_WORKER_COUNT=2") }, want: 2},
		{name: "environment", add: func() { sources.Environ = []string{"OPENHQM_WORKER_COUNT=3"} }, want: 3},
		{name: "flags", add: func() { sources.Flags = map[string]string{"worker.count": "4"} }, want: 4},
	}
	for i, step := range steps {
		step.add()
		config, _, err := Load(sources)
		require.NoError(t, err)
		require.Equal(t, step.want, config.Worker.Count, step.name)
		if i > 0 {
			require.Equal(t, 3*time.Second, config.Worker.Drain, "other keys of the section stay")
		}
	}
}

func TestAllKeysOfAFileAreRead(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, `
role: all
log: {level: debug, format: json}
server:
  host: "::1"
  port: 0
  admin_listen: 127.0.0.1:8001
  public_url: https://hqm.example.com/gateway//
  max_body_size: 1048576
  read_timeout: 1m30s
  max_connections: 10
  shutdown_delay: 5s
  trusted_proxies: [10.1.2.3/8, "::1"]
  cors: {origins: ["https://app.example"], headers: [X-A], max_age: 1m}
  api_keys:
    - {name: shop, sha256: 0000000000000000000000000000000000000000000000000000000000000000, endpoints: [notify]}
    - name: ops
      sha256: "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB"
      admin: true
  rate_limit: {rps: 2.5}
proxy:
  default_endpoint: orders.v1
  forward_headers: [X-A, X-B]
  strip_headers: [Cookie]
  forwarded: rfc7239
  transparent: {listen: ":8080", endpoint: notify}
  endpoints:
    orders.v1:
      url: http://orders:8080/api
      method: PUT
      timeout: 10s
      dial_timeout: 250ms
      header_timeout: 5s
      headers: {X-Team: a-team, X-Number: 007}
      auth: {type: basic, username: u, password: 0123}
      retry: {jitter: 0, on_status: []}
      rate_limit: {rps: 100, burst: 7}
      max_in_flight: 3
      breaker: {ratio: 0}
    notify:
      url: https://notify
      auth: {type: api_key, token: t}
      tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, server_name: notify.internal}
`)
	require.Equal(t, Log{Level: LevelDebug, Format: FormatJSON}, config.Log)
	require.Equal(t, Server{
		CORS: CORS{Origins: []string{"https://app.example"}, Headers: []string{"X-A"}, MaxAge: time.Minute},
		Host: "::1", PublicURL: "https://hqm.example.com/gateway", MaxBodySize: mib, ReadTimeout: 90 * time.Second,
		MaxConnections: 10, ShutdownDelay: 5 * time.Second, AdminListen: "127.0.0.1:8001",
		Hosts: []string{}, TrustedProxies: []string{"10.1.2.3/8", "::1"},
		APIKeys: []APIKey{
			{Name: "shop", SHA256: Digest(strings.Repeat("00", 32)), Endpoints: []string{"notify"}},
			{Name: "ops", SHA256: Digest(strings.Repeat("AB", 32)), Admin: true},
		},
		RateLimit: RateLimit{RPS: 2.5, Burst: 3},
	}, config.Server)
	require.Equal(t, []string{"X-A", "X-B"}, config.Proxy.ForwardHeaders)
	require.Equal(t, []string{"Cookie"}, config.Proxy.StripHeaders)

	require.Equal(t, ForwardedRFC7239, config.Proxy.Forwarded)
	require.Equal(t, Transparent{Listen: ":8080", Endpoint: "notify"}, config.Proxy.Transparent)

	orders := config.Proxy.Endpoints["orders.v1"]
	require.Equal(t, map[string]string{"X-Team": "a-team", "X-Number": "007"}, resolved(t, orders.Headers))
	require.Equal(t, "0123", resolved(t, map[string]Secret{"password": orders.Auth.Password})["password"])
	require.Equal(t, "PUT", orders.Method)
	require.Equal(t, 10*time.Second, orders.Timeout)
	require.Equal(t, 250*time.Millisecond, orders.DialTimeout)
	require.Equal(t, 5*time.Second, orders.HeaderTimeout)
	require.Equal(t, Retry{MaxAttempts: 4, Base: time.Second, Max: time.Minute, OnStatus: []int{}}, orders.Retry)
	require.Equal(t, RateLimit{RPS: 100, Burst: 7}, orders.RateLimit)
	require.Equal(t, 3, orders.MaxInFlight)
	require.Equal(t, Breaker{
		Window: 30 * time.Second, MinCalls: 10, Cooldown: 10 * time.Second, Probes: 3,
	}, orders.Breaker)

	notify := config.Proxy.Endpoints["notify"]
	require.Equal(t, TLS{
		CAFile: "ca.pem", CertFile: "c.pem", KeyFile: "k.pem", ServerName: "notify.internal",
	}, notify.TLS)
	require.Equal(t, "X-API-Key", notify.Auth.Header)
	require.Zero(t, notify.RateLimit)
	require.Equal(t, 32, notify.MaxInFlight)
	require.Equal(t, Breaker{
		Ratio: 0.5, Window: 30 * time.Second, MinCalls: 10, Cooldown: 10 * time.Second, Probes: 3,
	}, notify.Breaker)
}

func TestEndpointsInheritWhatTheyDoNotSay(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, `
worker: {timeout: 7s}
retry: {max_attempts: 9, base: 2s, on_status: [500]}
proxy:
  endpoints:
    x: {url: http://x, retry: {max: 3s}}
    # These names make dotted keys that look like one of x.
    x.retry: {url: http://x}
    x.headers: {url: http://x}
`, "OPENHQM_RETRY_JITTER=1")
	longest := map[string]time.Duration{"x": 3 * time.Second, "x.retry": time.Minute, "x.headers": time.Minute}
	for name, want := range longest {
		endpoint := config.Proxy.Endpoints[name]
		require.Equal(t, "POST", endpoint.Method)
		require.Equal(t, 7*time.Second, endpoint.Timeout)
		require.Equal(t, 10*time.Second, endpoint.DialTimeout)
		require.Zero(t, endpoint.HeaderTimeout)
		require.Equal(t, AuthNone, endpoint.Auth.Type)
		require.Equal(t, Retry{
			MaxAttempts: 9, Base: 2 * time.Second, Max: want, Jitter: 1, OnStatus: []int{500},
		}, endpoint.Retry)
	}
}

func TestTheFileCanBeNamedByAVariable(t *testing.T) {
	t.Parallel()
	file := write(t, "a.yaml", "worker: {count: 1}")
	other := write(t, "b.yaml", "worker: {count: 2}")
	for name, test := range map[string]struct {
		give Sources
		want int
	}{
		"in the environment": {give: Sources{Environ: []string{"OPENHQM_CONFIG=" + file}}, want: 1},
		"in .env":            {give: Sources{DotEnv: write(t, ".env", "OPENHQM_CONFIG="+file)}, want: 1},
		"but a flag wins":    {give: Sources{File: other, Environ: []string{"OPENHQM_CONFIG=" + file}}, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, warnings, err := Load(test.give)
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Equal(t, test.want, config.Worker.Count)
		})
	}
}

// TestAFileAloneStillHasItsReferences holds that variables set nothing then, but stand for ${NAME}.
func TestAFileAloneStillHasItsReferences(t *testing.T) {
	t.Parallel()
	config, warnings, err := Load(Sources{
		File:      write(t, "openhqm.yaml", "worker: {count: \"${COUNT}\"}\nstore: {originals: true}\n"),
		Environ:   []string{"COUNT=7", "OPENHQM_WORKER_COUNT=8", "OPENHQM_STORE_TTL=never", "OPENHQM_NOTHING=1"},
		FileAlone: true,
	})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, 7, config.Worker.Count)
	require.Equal(t, time.Hour, config.Store.TTL)
	require.True(t, config.Store.Originals)
}

func TestReferencesInAFileAreExpanded(t *testing.T) {
	t.Parallel()
	config, _, err := Load(Sources{
		File: write(t, "openhqm.yaml", `
server: {port: "${PORT:-9000}", public_url: "https://${NAME}"}
embedded: {dir: "/data/$${NAME}/${DIR}"}
proxy: {strip_headers: ["${HEADER}"], endpoints: {a: {url: http://a, auth: {type: bearer, token: "${TOKEN}"}}}}
`),
		DotEnv:  write(t, ".env", "NAME=dotenv\nDIR=x: [y]\nTOKEN=s3cret\n"),
		Environ: []string{"NAME=environment", "HEADER=Cookie"},
	})
	require.NoError(t, err)
	require.Equal(t, 9000, config.Server.Port)
	require.Equal(t, "https://environment", config.Server.PublicURL)
	require.Equal(t, "/data/${NAME}/x: [y]", config.Embedded.Dir)
	require.Equal(t, []string{"Cookie"}, config.Proxy.StripHeaders)
	token, err := config.Proxy.Endpoints["a"].Auth.Token.Resolve()
	require.NoError(t, err)
	require.Equal(t, "s3cret", token)
}

func TestAliasesAndMergeKeys(t *testing.T) {
	t.Parallel()
	endpoints := loadYAML(t, `
proxy:
  endpoints:
    a: &a
      url: http://a
      timeout: &timeout 1s
      retry: &retry {max_attempts: 2}
    b: {<<: *a, url: http://b}
    c: {<<: [{timeout: *timeout, method: PUT}, *a], method: GET}
    d: {url: http://d, retry: *retry}
`).Proxy.Endpoints
	require.Equal(t, "http://b", endpoints["b"].URL)
	require.Equal(t, time.Second, endpoints["b"].Timeout)
	require.Equal(t, "http://a", endpoints["c"].URL)
	require.Equal(t, "GET", endpoints["c"].Method)
	require.Equal(t, 2, endpoints["d"].Retry.MaxAttempts)
}

func TestEmptyFilesChangeNothing(t *testing.T) {
	t.Parallel()
	want, _, err := Load(Sources{})
	require.NoError(t, err)
	for _, give := range []string{
		"", "# nothing", "---\n", "{}", "~", "server:\n  # port: 1\nproxy:\n  endpoints:\n", "\ufeff# mark",
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			got := loadYAML(t, give)
			require.Equal(t, want, got)
		})
	}
}

func TestNumbersMayHaveAnyNotation(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, `
queue: {max_depth: 1e+06}
worker: {count: 64.0}
server: {max_body_size: 1.048576e+07}
store: {dead_letter_ttl: 30d}
`, "OPENHQM_RETRY_ON_STATUS=[5e2, 503.0]", `OPENHQM_PROXY__ENDPOINTS={"a": {"url": "http://a", "max_in_flight": 1E1}}`)
	require.Equal(t, 1_000_000, config.Queue.MaxDepth)
	require.Equal(t, 64, config.Worker.Count)
	require.Equal(t, 10*mib, config.Server.MaxBodySize)
	require.Equal(t, 30*24*time.Hour, config.Store.DeadLetterTTL)
	require.Equal(t, []int{500, 503}, config.Retry.OnStatus)
	require.Equal(t, 10, config.Proxy.Endpoints["a"].MaxInFlight)
}

func TestKeysOfOtherProgramsAreIgnoredAtTheTop(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, `
x-endpoint: &endpoint {url: http://a, anything: else, timeout: 5s}
x-: [1]
proxy: {endpoints: {a: {url: http://b, method: GET}}}
server: {host: "[::]"}
`)
	require.Equal(t, "GET", config.Proxy.Endpoints["a"].Method)
	require.Equal(t, "::", config.Server.Host)
	config = loadYAML(t, "x-e: &e {url: http://a, timeout: 5s}\nproxy: {endpoints: {a: *e}}")
	require.Equal(t, 5*time.Second, config.Proxy.Endpoints["a"].Timeout)
	require.Equal(t, []string{"f.yaml:1: server.x-a: " + serverKeys}, faultsOf(t, Sources{
		File: write(t, "f.yaml", "server: {x-a: 1}"),
	}))
}
