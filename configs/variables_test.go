package configs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVariablesStandForKeys(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ give, want string }{
		{give: "QUEUE_TYPE", want: "queue.type"},
		{give: "WORKER_COUNT", want: "worker.count"},
		{give: "LOG__LEVEL", want: "log.level"},
		{give: "PROXY__DEFAULT_ENDPOINT", want: "proxy.default_endpoint"},
		{give: "PROXY_DEFAULT_ENDPOINT", want: "proxy.default_endpoint"},
		{give: "SERVER_MAX_BODY_SIZE", want: "server.max_body_size"},
		{give: "RETRY_MAX", want: "retry.max"},
		{give: "RETRY_MAX_ATTEMPTS", want: "retry.max_attempts"},
		{give: "PROXY__ENDPOINTS", want: "proxy.endpoints"},
		{give: "PROXY__ENDPOINTS__ORDERS__URL", want: "proxy.endpoints.orders.url"},
		{give: "PROXY__ENDPOINTS__ORDERS_V1__RETRY_MAX_ATTEMPTS", want: "proxy.endpoints.orders_v1.retry.max_attempts"},
		{give: "PROXY__ENDPOINTS__ORDERS__AUTH__TOKEN", want: "proxy.endpoints.orders.auth.token"},
		{give: "PROXY__ENDPOINTS__ORDERS__HEADERS", want: "proxy.endpoints.orders.headers"},
		{give: "PROXY_ENDPOINTS_ORDERS_URL", want: "proxy.endpoints.orders.url"},
		{give: "PROXY__ENDPOINTS__ORDERS_URL", want: "proxy.endpoints.orders.url"},
		{give: "PROXY_ENDPOINTS_ORDERS__URL", want: "proxy.endpoints.orders.url"},
		{give: "PROXY_ENDPOINTS_MY_API_RETRY__MAX_ATTEMPTS", want: "proxy.endpoints.my_api.retry.max_attempts"},
		{
			give: "PROXY_ENDPOINTS_ORDERS_DIAL_TIMEOUT",
			want: "proxy.endpoints.orders.dial_timeout proxy.endpoints.orders_dial.timeout",
		},
		{give: "PROXY__ENDPOINTS__ORDERS__DIAL_TIMEOUT", want: "proxy.endpoints.orders.dial_timeout"},
		{give: "PROXY__ENDPOINTS__ORDERS__AUTH_HEADER_NAME", want: "proxy.endpoints.orders.auth.header"},

		{give: "", want: ""},
		{give: "_", want: ""},
		{give: "ROLE_", want: ""},
		{give: "queue_type", want: ""},
		{give: "SERVER", want: ""},
		{give: "SERVER_", want: ""},
		{give: "SERVERPORT", want: ""},
		{give: "SERVER___PORT", want: ""},
		{give: "SERVER_MAX__BODY_SIZE", want: ""},
		{give: "SERVER_MAX_BODY_SIZES", want: ""},
		{give: "PROXY__ENDPOINTS__ORDERS", want: ""},
		{give: "PROXY__ENDPOINTS____URL", want: ""},
		{give: "PROXY__ENDPOINTS__O RDERS__URL", want: ""},
		{give: "PROXY__ENDPOINTS__ORDERS__HEADERS__X", want: ""},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			var keys []string
			for _, r := range schema.byVariable(test.give) {
				require.NotNil(t, r.spec)
				keys = append(keys, strings.Join(r.path, "."))
			}
			require.Equal(t, test.want, strings.Join(keys, " "))
		})
	}
}

func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	t.Parallel()
	_, warnings, err := Load(Sources{
		DotEnv: write(t, ".env", "OPENHQM_LOG_LEVEL=debug\nOPENHQM_LOGLEVEL=s3cret\nOTHER=x\n"),
		Environ: []string{
			"OPENHQM_SERVER_PORT=9000", "OPENHQM_PORT=9000", "OPENHQM_PROXY_ENDPOINTS_A_URI=s3cret", "OPENHQM_\n=s3cret",
			"OTHER=y",
		},
	})
	require.NoError(t, err)
	texts := make([]string, 0, len(warnings))
	for _, warning := range warnings {
		texts = append(texts, warning.String())
	}
	const text = ": no key has this name; the variable is ignored"
	require.Len(t, texts, 4)
	require.Regexp(t, `^OPENHQM_LOGLEVEL in .*\.env:2`+text+"$", texts[0])
	require.Equal(t, []string{
		`OPENHQM_\n` + text, "OPENHQM_PORT" + text, "OPENHQM_PROXY_ENDPOINTS_A_URI" + text,
	}, texts[1:])
}

func TestVariablesOfKubernetesServicesAreIgnored(t *testing.T) {
	t.Parallel()
	var environ []string
	for _, service := range []string{"OPENHQM", "OPENHQM_SERVER", "OPENHQM_API_V2"} {
		environ = append(environ,
			service+"_SERVICE_HOST=10.0.0.1", service+"_SERVICE_PORT=8000", service+"_SERVICE_PORT_HTTP=8000",
			service+"_PORT=tcp://10.0.0.1:8000", service+"_PORT_8000_TCP=tcp://10.0.0.1:8000",
			service+"_PORT_8000_TCP_PROTO=tcp", service+"_PORT_8000_TCP_PORT=8000",
			service+"_PORT_8000_TCP_ADDR=10.0.0.1", service+"_PORT_53_UDP=udp://10.0.0.1:53",
		)
	}
	config, warnings, err := Load(Sources{Environ: environ})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, 8000, config.Server.Port)
}

func TestVariablesAndFlagsAreRead(t *testing.T) {
	t.Parallel()
	const url = `"url": "https://orders.internal"`
	for name, test := range map[string]struct {
		give Sources
		want func(*testing.T, Config)
	}{
		"a number": {
			give: Sources{Environ: []string{"OPENHQM_WORKER_COUNT=7"}},
			want: func(t *testing.T, c Config) { require.Equal(t, 7, c.Worker.Count) },
		},
		"a list with commas": {
			give: Sources{Environ: []string{"OPENHQM_PROXY_STRIP_HEADERS= Cookie , X-A"}},
			want: func(t *testing.T, c Config) { require.Equal(t, []string{"Cookie", "X-A"}, c.Proxy.StripHeaders) },
		},
		"a list in JSON": {
			give: Sources{Environ: []string{`OPENHQM_RETRY_ON_STATUS=[500, "503"]`}},
			want: func(t *testing.T, c Config) { require.Equal(t, []int{500, 503}, c.Retry.OnStatus) },
		},
		"an empty list": {
			give: Sources{Environ: []string{"OPENHQM_PROXY_FORWARD_HEADERS=[]"}},
			want: func(t *testing.T, c Config) { require.Empty(t, c.Proxy.ForwardHeaders) },
		},
		"text that looks like a reference stays": {
			give: Sources{Environ: []string{"OPENHQM_EMBEDDED_DIR=/data/${HOME}"}},
			want: func(t *testing.T, c Config) { require.Equal(t, "/data/${HOME}", c.Embedded.Dir) },
		},
		"endpoints in JSON, and one field of one": {
			give: Sources{Environ: []string{
				`OPENHQM_PROXY_ENDPOINTS__ORDERS__TIMEOUT=5s`,
				`OPENHQM_PROXY__ENDPOINTS= {"orders": {` + url + `, "timeout": "9s"}, "b.2": {"url":"http:\/\/\u0062"}}`,
				`OPENHQM_PROXY__ENDPOINTS__ORDERS__HEADERS={"X-A": "\ud83d\ude00", "X-B": 1.50}`,
			}},
			want: func(t *testing.T, c Config) {
				require.Len(t, c.Proxy.Endpoints, 2)
				require.Equal(t, "http://b", c.Proxy.Endpoints["b.2"].URL)
				require.Equal(t, "https://orders.internal", c.Proxy.Endpoints["orders"].URL)
				require.Equal(t, 5*time.Second, c.Proxy.Endpoints["orders"].Timeout)
				require.Equal(t, map[string]string{"X-A": "😀", "X-B": "1.50"}, resolved(t, c.Proxy.Endpoints["orders"].Headers))
			},
		},
		"keys in JSON replace those of .env": {
			give: Sources{
				DotEnv: write(t, ".env", `OPENHQM_SERVER_API_KEYS='[{"name":"a","sha256":"`+string(digest("a"))+`"}]'`),
				Environ: []string{`OPENHQM_SERVER__API_KEYS= [{"name":"b","sha256":"` + string(digest("b")) + `"},` +
					`{"name":"c","sha256":"` + string(digest("c")) + `","endpoints":["echo"],"admin":true}]`},
			},
			want: func(t *testing.T, c Config) {
				require.Equal(t, []APIKey{
					{Name: "b", SHA256: digest("b")},
					{Name: "c", SHA256: digest("c"), Endpoints: []string{"echo"}, Admin: true},
				}, c.Server.APIKeys)
			},
		},
		"flags": {
			give: Sources{Flags: map[string]string{
				"log.level": "warn", "retry.on_status": "500", "proxy.endpoints.a.url": "http://a",
			}},
			want: func(t *testing.T, c Config) {
				require.Equal(t, LevelWarn, c.Log.Level)
				require.Equal(t, []int{500}, c.Retry.OnStatus)
				require.Equal(t, "http://a", c.Proxy.Endpoints["a"].URL)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, warnings, err := Load(test.give)
			require.NoError(t, err)
			require.Empty(t, warnings)
			test.want(t, config)
		})
	}
}

func resolved(t *testing.T, secrets map[string]Secret) map[string]string {
	t.Helper()
	values := map[string]string{}
	for name, secret := range secrets {
		value, err := secret.Resolve()
		require.NoError(t, err)
		values[name] = value
	}
	return values
}

func TestFaultsOfVariablesAndFlags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give Sources
		want string
	}{
		{
			give: Sources{Environ: []string{"OPENHQM_WORKER_COUNT=many"}},
			want: `OPENHQM_WORKER_COUNT: worker.count: "many": must be a whole number`,
		},
		{
			give: Sources{Environ: []string{"OPENHQM_WORKER_TIMEOUT=60"}},
			want: `OPENHQM_WORKER_TIMEOUT: worker.timeout: "60": a duration needs a unit, for instance 60s`,
		},
		{
			give: Sources{Environ: []string{"OPENHQM_QUEUE_TYPE=embedded", "OPENHQM_QUEUE__TYPE=embedded"}},
			want: "OPENHQM_QUEUE__TYPE: queue.type: is also set by OPENHQM_QUEUE_TYPE; keep one of them",
		},
		{
			give: Sources{Environ: []string{`OPENHQM_PROXY_ENDPOINTS={"a": {"auth": {"token": "s3cret"`}},
			want: "OPENHQM_PROXY_ENDPOINTS: proxy.endpoints: must be a JSON object",
		},
		{
			give: Sources{Environ: []string{`OPENHQM_PROXY_ENDPOINTS=["s3cret"]`}},
			want: "OPENHQM_PROXY_ENDPOINTS: proxy.endpoints: must be a JSON object",
		},
		{
			give: Sources{Environ: []string{`OPENHQM_PROXY_ENDPOINTS={"a": {"url": "http://a", "dial_timeout": 30}}`}},
			want: `OPENHQM_PROXY_ENDPOINTS: proxy.endpoints.a.dial_timeout: "30": a duration needs a unit, for instance 60s`,
		},
		{
			give: Sources{Environ: []string{"OPENHQM_RETRY_ON_STATUS=[500"}},
			want: "OPENHQM_RETRY_ON_STATUS: retry.on_status: must be a JSON array or values separated by commas",
		},
		{
			give: Sources{Environ: []string{"OPENHQM_RETRY_ON_STATUS=500,x"}},
			want: `OPENHQM_RETRY_ON_STATUS: retry.on_status: "x": must be a whole number`,
		},
		{ // no way to lose all keys
			give: Sources{Environ: []string{"OPENHQM_SERVER_API_KEYS="}},
			want: "OPENHQM_SERVER_API_KEYS: server.api_keys: must be a JSON array of objects",
		},
		{
			give: Sources{Environ: []string{"OPENHQM_SERVER_API_KEYS=s3cret"}},
			want: "OPENHQM_SERVER_API_KEYS: server.api_keys: must be a JSON array of objects",
		},
		{
			give: Sources{Environ: []string{`OPENHQM_SERVER_API_KEYS=[{"name": "a", "sha256": "s3cret"}]`}},
			want: "OPENHQM_SERVER_API_KEYS: server.api_keys.0.sha256: ***: must be the SHA-256 of the key, 64 hex digits",
		},
		{
			give: Sources{
				DotEnv:  write(t, "env", `OPENHQM_SERVER_API_KEYS='[{"name":"a","sha256":"`+string(digest("a"))+`"}]'`),
				Environ: []string{`OPENHQM_SERVER_API_KEYS=[{"name": "a"}]`},
			},
			want: "OPENHQM_SERVER_API_KEYS: server.api_keys.0.sha256: is required",
		},
		{
			give: Sources{Environ: []string{"OPENHQM_PROXY__ENDPOINTS__A__TIMEOUT=5s"}},
			want: "OPENHQM_PROXY__ENDPOINTS__A__TIMEOUT: proxy.endpoints.a.url: is required",
		},
		{
			give: Sources{DotEnv: write(t, "env", "\nOPENHQM_ROLE=boss")},
			want: `OPENHQM_ROLE in env:2: role: "boss": must be one of all, api, worker`,
		},
		{give: Sources{DotEnv: write(t, "env", "\ns3cret")}, want: "env:2: must be NAME=VALUE, a comment or empty"},
		{
			give: Sources{Flags: map[string]string{"role": "boss"}},
			want: `--role: role: "boss": must be one of all, api, worker`,
		},
		{give: Sources{Flags: map[string]string{"rolle": "all"}}, want: "--rolle: no key has this name"},
		{give: Sources{Flags: map[string]string{"role.x": "all"}}, want: "--role.x: no key has this name"},
		{give: Sources{Flags: map[string]string{"x.role": "all"}}, want: "--x.role: no key has this name"},
		{give: Sources{Flags: map[string]string{"server": "x"}}, want: "--server: no key has this name"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(test.give)
			require.Error(t, err)
			text := err.Error()
			if test.give.DotEnv != "" {
				text = strings.ReplaceAll(text, test.give.DotEnv, "env")
			}
			require.Equal(t, "configuration: 1 fault\n  "+test.want, text)
		})
	}
}

func TestVariablesReachEndpointsWhoseNamesTheyCannotSpell(t *testing.T) {
	t.Parallel()
	const endpoints = "proxy: {endpoints: {my-api: {url: http://a}, Orders.v2: {url: http://b}, dial: {url: http://c}, " +
		"x_dial: {url: http://d}}}"
	for variable, want := range map[string]string{
		"PROXY__ENDPOINTS__MY_API__TIMEOUT":      "my-api",
		"PROXY_ENDPOINTS_MY_API_TIMEOUT":         "my-api",
		"PROXY__ENDPOINTS__MY-API__TIMEOUT":      "my-api",
		"PROXY__ENDPOINTS__ORDERS_V2__TIMEOUT":   "Orders.v2",
		"PROXY_ENDPOINTS_DIAL_TIMEOUT":           "dial",
		"PROXY_ENDPOINTS_X_DIAL_TIMEOUT":         "x_dial",
		"PROXY__ENDPOINTS__FROM_JSON__TIMEOUT":   "from-json",
		"PROXY_ENDPOINTS_FROM_LINE_DIAL_TIMEOUT": "from_line_dial",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			config := loadYAML(t, endpoints,
				"OPENHQM_"+variable+"=7s",
				`OPENHQM_PROXY__ENDPOINTS={"from-json": {"url": "http://e"}}`,
				"OPENHQM_PROXY__ENDPOINTS__FROM_LINE_DIAL__URL=http://f",
			)
			require.Len(t, config.Proxy.Endpoints, 6)
			require.Equal(t, 7*time.Second, config.Proxy.Endpoints[want].Timeout)
		})
	}
}

func TestAVariableThatMayMeanTwoEndpointsIsRefused(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", "proxy: {endpoints: {my-api: {url: http://a}, my.api: {url: http://b}}}")
	_, _, err := Load(Sources{File: file, Environ: []string{"OPENHQM_PROXY__ENDPOINTS__MY_API__METHOD=GET"}})
	require.EqualError(t, err, "configuration: 1 fault\n  OPENHQM_PROXY__ENDPOINTS__MY_API__METHOD: may mean "+
		"proxy.endpoints.my-api.method or proxy.endpoints.my.api.method; set the key in the file, "+
		"or in OPENHQM_PROXY__ENDPOINTS as JSON")
}

func TestAnEmptyVariableIsAsGoodAsNone(t *testing.T) {
	t.Parallel()
	config, warnings, err := Load(Sources{
		File:   write(t, "f.yaml", "retry: {on_status: [500]}\nqueue: {requests: mine}\nproxy: {via: \"${NAME}\"}"),
		DotEnv: write(t, ".env", "OPENHQM_WORKER_DRAIN=5s\nOPENHQM_LOG_LEVEL=\nNAME=x\n"),
		Environ: []string{
			"OPENHQM_WORKER_COUNT=", "OPENHQM_RETRY_ON_STATUS=", "OPENHQM_QUEUE_REQUESTS=", "OPENHQM_WORKER_DRAIN=",
			"OPENHQM_PROXY__ENDPOINTS=", "OPENHQM_PROXY__ENDPOINTS__A__URL=", "OPENHQM_CONFIG=", "OPENHQM_ENV_FILE=",
			"OPENHQM_NOTHING=", "NAME=",
		},
	})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, 64, config.Worker.Count)
	require.Equal(t, []int{500}, config.Retry.OnStatus)
	require.Equal(t, "mine", config.Queue.Requests)
	require.Equal(t, 5*time.Second, config.Worker.Drain)
	require.Equal(t, LevelInfo, config.Log.Level)
	require.Equal(t, "x", config.Proxy.Via)
	require.Empty(t, config.Proxy.Endpoints)
}
