package configs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loadWarned loads a configuration without faults and returns its warnings, too.
func loadWarned(t *testing.T, sources Sources) (Config, []string) {
	t.Helper()
	config, warnings, err := Load(sources)
	require.NoError(t, err)
	texts := make([]string, 0, len(warnings))
	for _, warning := range warnings {
		texts = append(texts, warning.String())
	}
	return config, texts
}

// oldCase is what an environment with old names sets, and what is said about it.
type oldCase struct {
	give  []string
	get   func(Config) any
	want  any
	warns []string
}

func checkOldNames(t *testing.T, tests []oldCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.give[len(tt.give)-1], func(t *testing.T) {
			t.Parallel()
			config, warnings := loadWarned(t, Sources{Environ: tt.give})
			require.Equal(t, tt.want, tt.get(config))
			require.ElementsMatch(t, tt.warns, warnings)
		})
	}
}

// The beginnings of what is said.
const (
	isOld  = ": is an old name; the new one is OPENHQM_"
	isGone = ": is an old name that means nothing any more; it is ignored"
)

func TestOldNamesOfVariables(t *testing.T) {
	t.Parallel()
	const redis = "OPENHQM_QUEUE_TYPE=redis"
	checkOldNames(t, []oldCase{
		{
			give: []string{"OPENHQM_QUEUE__REDIS_URL=redis://b"}, // embedded
			get:  func(c Config) any { return c.Sets("redis.url") },
			want: false,
			warns: []string{"OPENHQM_QUEUE__REDIS_URL: is an old name of redis.url, which has no effect with " +
				`queue.type "embedded"; set queue.type to use another queue`},
		},
		{
			give:  []string{redis, "OPENHQM_QUEUE__REDIS_URL=redis://:s3cret@a"},
			get:   func(c Config) any { url, _ := c.ResolveRedis(); return url },
			want:  "redis://:s3cret@a",
			warns: []string{"OPENHQM_QUEUE__REDIS_URL" + isOld + "REDIS_URL"},
		},
		{
			give: []string{redis, "OPENHQM_CACHE__REDIS_URL=redis://a", "OPENHQM_QUEUE__REDIS_URL=redis://b"},
			get:  func(c Config) any { url, _ := c.ResolveRedis(); return url },
			want: "redis://b",
			warns: []string{
				"OPENHQM_CACHE__REDIS_URL" + isOld + "REDIS_URL (which OPENHQM_QUEUE__REDIS_URL sets, too; that counts)",
				"OPENHQM_QUEUE__REDIS_URL" + isOld + "REDIS_URL",
			},
		},
		{
			give: []string{
				redis, "OPENHQM_QUEUE__REQUEST_QUEUE_NAME=a", "OPENHQM_QUEUE__RESPONSE_QUEUE_NAME=b",
				"OPENHQM_QUEUE__DLQ_NAME=c",
			},
			get:  func(c Config) any { return []string{c.Queue.Requests, c.Queue.Responses, c.Queue.DeadLetters} },
			want: []string{"a", "b", "c"},
			warns: []string{
				"OPENHQM_QUEUE__DLQ_NAME" + isOld + "QUEUE_DEAD_LETTERS",
				"OPENHQM_QUEUE__REQUEST_QUEUE_NAME" + isOld + "QUEUE_REQUESTS",
				"OPENHQM_QUEUE__RESPONSE_QUEUE_NAME" + isOld + "QUEUE_RESPONSES",
			},
		},
		{
			give:  []string{"OPENHQM_CACHE__TTL_SECONDS=7200"},
			get:   func(c Config) any { return c.Store.TTL },
			want:  2 * time.Hour,
			warns: []string{"OPENHQM_CACHE__TTL_SECONDS" + isOld + `STORE_TTL="7200s"`},
		},
		{
			give:  []string{"OPENHQM_WORKER__TIMEOUT_SECONDS=30"},
			get:   func(c Config) any { return c.Worker.Timeout },
			want:  30 * time.Second,
			warns: []string{"OPENHQM_WORKER__TIMEOUT_SECONDS" + isOld + `WORKER_TIMEOUT="30s"`},
		},
		{
			give:  []string{"OPENHQM_WORKER__MAX_RETRIES=3"},
			get:   func(c Config) any { return c.Retry.MaxAttempts },
			want:  4,
			warns: []string{"OPENHQM_WORKER__MAX_RETRIES" + isOld + `RETRY_MAX_ATTEMPTS="4"`},
		},
		{
			give: []string{"OPENHQM_WORKER__RETRY_DELAY_BASE=0.5", "OPENHQM_WORKER__RETRY_DELAY_MAX=30.0"},
			get:  func(c Config) any { return []time.Duration{c.Retry.Base, c.Retry.Max} },
			want: []time.Duration{500 * time.Millisecond, 30 * time.Second},
			warns: []string{
				"OPENHQM_WORKER__RETRY_DELAY_BASE" + isOld + `RETRY_BASE="0.5s"`,
				"OPENHQM_WORKER__RETRY_DELAY_MAX" + isOld + `RETRY_MAX="30.0s"`,
			},
		},
		{
			give:  []string{"OPENHQM_MONITORING__LOG_LEVEL=WARNING"},
			get:   func(c Config) any { return c.Log.Level },
			want:  LevelWarn,
			warns: []string{"OPENHQM_MONITORING__LOG_LEVEL" + isOld + `LOG_LEVEL="warn"`},
		},
		{
			give: []string{"OPENHQM_PROXY__DEFAULT_ENDPOINT=http://app:8080/api"},
			get:  func(c Config) any { return []string{c.Proxy.DefaultEndpoint, c.Proxy.Endpoints["default"].URL} },
			want: []string{"default", "http://app:8080/api"},
			warns: []string{"OPENHQM_PROXY__DEFAULT_ENDPOINT" + isOld +
				`PROXY__ENDPOINTS__DEFAULT__URL and OPENHQM_PROXY_DEFAULT_ENDPOINT="default"`},
		},
		{
			give: []string{"OPENHQM_PROXY__BACKEND_URL=http://app"},
			get:  func(c Config) any { return []string{c.Proxy.DefaultEndpoint, c.Proxy.Endpoints["default"].URL} },
			want: []string{"default", "http://app"},
			warns: []string{"OPENHQM_PROXY__BACKEND_URL" + isOld +
				`PROXY__ENDPOINTS__DEFAULT__URL and OPENHQM_PROXY_DEFAULT_ENDPOINT="default"`},
		},
		{
			give: []string{"OPENHQM_PROXY__DEFAULT_ENDPOINT=a", "OPENHQM_PROXY__ENDPOINTS__A__URL=http://a"},
			get:  func(c Config) any { return c.Proxy.DefaultEndpoint },
			want: "a",
		},
		{
			give: []string{
				"OPENHQM_PROXY__ENABLED=true", "OPENHQM_WORKER__BATCH_SIZE=10", "OPENHQM_PARTITIONING__ENABLED=true",
				"OPENHQM_PARTITIONING__KEY=x", "OPENHQM_WORKER__MAX_RETRIES=",
			},
			get:  func(c Config) any { return c.Worker.Count },
			want: 64,
			warns: []string{
				"OPENHQM_PARTITIONING__ENABLED" + isGone, "OPENHQM_PARTITIONING__KEY" + isGone, "OPENHQM_PROXY__ENABLED" + isGone,
				"OPENHQM_WORKER__BATCH_SIZE" + isGone,
			},
		},
	})
}

func TestTheNewNameWins(t *testing.T) {
	t.Parallel()
	const old = "OPENHQM_WORKER__TIMEOUT_SECONDS"
	file := write(t, "f.yaml", "worker: {timeout: 7s}")
	for name, tt := range map[string]struct {
		give Sources
		from string
	}{
		"in the file": {Sources{File: file, Environ: []string{old + "=30"}}, file + ":1"},
		"in the environment": {
			Sources{Environ: []string{old + "=30", "OPENHQM_WORKER_TIMEOUT=7s"}}, "OPENHQM_WORKER_TIMEOUT",
		},
		"in a flag": {
			Sources{Environ: []string{old + "=30"}, Flags: map[string]string{"worker.timeout": "7s"}}, "--worker.timeout",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, warnings := loadWarned(t, tt.give)
			require.Equal(t, 7*time.Second, config.Worker.Timeout)
			require.Equal(t, []string{
				old + `: is an old name; the new one is OPENHQM_WORKER_TIMEOUT="30s" (which ` + tt.from + " sets; that counts)",
			}, warnings)
		})
	}
}

func TestOldNamesInADotenvFile(t *testing.T) {
	t.Parallel()
	config, warnings := loadWarned(t, Sources{
		DotEnv:  write(t, ".env", "\nOPENHQM_CACHE__TTL_SECONDS=60\nOPENHQM_WORKER__MAX_RETRIES=1"),
		Environ: []string{"OPENHQM_CACHE__TTL_SECONDS=120"},
	})
	require.Equal(t, 2*time.Minute, config.Store.TTL)
	require.Equal(t, 2, config.Retry.MaxAttempts)
	require.Len(t, warnings, 3)
	require.Contains(t, warnings[0], ".env:2: is an old name; the new one is "+
		`OPENHQM_STORE_TTL="60s" (which OPENHQM_CACHE__TTL_SECONDS sets, too; that counts)`)
}

func TestOldFieldsOfEndpoints(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", `
proxy:
  endpoints:
    a: {url: http://a, auth_type: custom, auth_token: s3cret, auth_header_name: X-T}
    b:
      url: http://b
      auth_type: bearer
      auth: {type: basic, username: new}
      auth_username: old
`)
	config, warnings := loadWarned(t, Sources{File: file, Environ: []string{
		`OPENHQM_PROXY__ENDPOINTS={"c": {"url": "http://c", "auth_type": "basic", "auth_username": "u", ` +
			`"auth_password": "s3cret"}}`,
		"OPENHQM_PROXY__ENDPOINTS__D__URL=http://d", "OPENHQM_PROXY__ENDPOINTS__D__AUTH_TYPE=api_key",
		"OPENHQM_PROXY__ENDPOINTS__D__AUTH_TOKEN=s3cret", "OPENHQM_PROXY__ENDPOINTS__D__AUTH_HEADER_NAME=X-D",
	}})
	secret := Secret{reference: "s3cret"}
	for name, want := range map[string]Auth{
		"a": {Type: AuthCustom, Token: secret, Header: "X-T"},
		"b": {Type: AuthBasic, Username: "new"},
		"c": {Type: AuthBasic, Username: "u", Password: secret},
		"d": {Type: AuthAPIKey, Token: secret, Header: "X-D"},
	} {
		require.Equal(t, want, config.Proxy.Endpoints[name].Auth, name)
	}
	require.Contains(t, warnings, file+":4: proxy.endpoints.a.auth_token: is an old name; "+
		"the new one is proxy.endpoints.a.auth.token")
	require.Contains(t, warnings, file+":7: proxy.endpoints.b.auth_type: is an old name; the new one is "+
		"proxy.endpoints.b.auth.type (which "+file+":8 sets; that counts)")
	require.Contains(t, warnings, "OPENHQM_PROXY__ENDPOINTS: proxy.endpoints.c.auth_password: is an old name; "+
		"the new one is proxy.endpoints.c.auth.password")
	require.Contains(t, warnings, "OPENHQM_PROXY__ENDPOINTS__D__AUTH_HEADER_NAME: is an old name; "+
		"the new one is OPENHQM_PROXY__ENDPOINTS__D__AUTH__HEADER")
	for _, warning := range warnings {
		require.NotContains(t, warning, "s3cret")
	}
}

func TestFaultsOfOldNamesNameTheVariable(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		`OPENHQM_MONITORING__LOG_LEVEL: log.level: "loud": must be one of debug, info, warn, error`,
		`OPENHQM_WORKER__TIMEOUT_SECONDS: worker.timeout: "-1s": must be 1ms to 8760h`,
	}, faultsOf(t, Sources{Environ: []string{
		"OPENHQM_WORKER__TIMEOUT_SECONDS=-1", "OPENHQM_MONITORING__LOG_LEVEL=loud",
	}}))
}

func TestTimeoutsOfEndpointsMayLackTheirUnit(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", "proxy: {endpoints: {a: {url: http://a, timeout: 30}, b: {url: http://b, timeout: 1m}}}")
	config, warnings := loadWarned(t, Sources{File: file, Environ: []string{
		`OPENHQM_PROXY__ENDPOINTS={"c": {"url": "http://c", "timeout": 45}}`,
	}})
	require.Equal(t, 30*time.Second, config.Proxy.Endpoints["a"].Timeout)
	require.Equal(t, time.Minute, config.Proxy.Endpoints["b"].Timeout)
	require.Equal(t, 45*time.Second, config.Proxy.Endpoints["c"].Timeout)
	require.Equal(t, []string{
		file + ":1: proxy.endpoints.a.timeout: has no unit and means seconds, as it did of old; write 30s",
		"OPENHQM_PROXY__ENDPOINTS: proxy.endpoints.c.timeout: has no unit and means seconds, as it did of old; write 45s",
	}, warnings)
}
