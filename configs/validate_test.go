package configs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// numberRange is a key with the values at and beyond its two ends.
type numberRange struct {
	key     string
	low     string
	below   string
	high    string
	above   string
	allowed string
}

func TestNumbersOutOfRangeAreRefused(t *testing.T) {
	t.Parallel()
	checkRanges(t, []numberRange{
		{"server.port", "0", "-1", "65535", "65536", "0 to 65535"},
		{"server.max_body_size", "1", "0", "128MiB", "1025MiB", "1B to 1GiB"},
		{"server.read_timeout", "1ms", "999us", "8760h", "8761h", "1ms to 8760h"},
		{"server.max_connections", "1", "0", "1000000", "1000001", "1 to 1000000"},
		{"server.shutdown_delay", "0s", "-1s", "1h", "61m", "0s to 1h"},
		{"request.max_age", "1s", "999ms", "8760h", "8761h", "1s to 8760h"},
		{"request.idempotency_ttl", "1s", "0s", "8760h", "8761h", "1s to 8760h"},
		{"queue.lease", "1s", "999ms", "12h", "13h", "1s to 12h"},
		{"queue.max_deliveries", "1", "0", "1000", "1001", "1 to 1000"},
		{"queue.max_depth", "0", "-1", "1000000000", "1000000001", "0 to 1000000000"},
		{"store.ttl", "1s", "0s", "8760h", "8761h", "1s to 8760h"},
		{"store.dead_letter_ttl", "1s", "0s", "8760h", "8761h", "1s to 8760h"},
		{"embedded.min_free", "0", "-1", "1TiB", "2TiB", "0B to 1TiB"},
		{"redis.wait_replicas", "0", "-1", "100", "101", "0 to 100"},
		{"redis.shards", "1", "0", "256", "257", "1 to 256"},
		{"worker.count", "1", "0", "65536", "65537", "1 to 65536"},
		{"worker.timeout", "1ms", "0s", "8760h", "8761h", "1ms to 8760h"},
		{"worker.drain", "0s", "-1s", "1h", "61m", "0s to 1h"},
		{"worker.max_bytes", "20MiB", "0", "1TiB", "2TiB", "1B to 1TiB"},
		{"retry.max_attempts", "1", "0", "1000", "1001", "1 to 1000"},
		{"retry.base", "1ms", "0s", "1m", "8761h", "1ms to 8760h"},
		{"retry.max", "1s", "0s", "8760h", "8761h", "1ms to 8760h"},
		{"retry.jitter", "0", "-0.1", "1", "1.1", "0 to 1"},
		{"proxy.max_response_size", "1", "0", "128MiB", "1025MiB", "1B to 1GiB"},
	})
}

func checkRanges(t *testing.T, tests []numberRange) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.key, func(t *testing.T) {
			t.Parallel()
			for _, good := range []string{test.low, test.high} {
				_, _, err := Load(Sources{Flags: map[string]string{test.key: good}})
				require.NoError(t, err)
			}
			for _, bad := range []string{test.below, test.above} {
				_, _, err := Load(Sources{Flags: map[string]string{test.key: bad}})
				require.ErrorContains(t, err, "1 fault\n")
				require.ErrorContains(t, err, test.key+`: "`+bad+`": must be `)
				if test.key != "embedded.min_free" || bad != "-1" { // a size is never negative, whatever its range
					require.ErrorContains(t, err, test.allowed)
				}
			}
		})
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	const fault = `: must be an IP address or a host name; 0.0.0.0 listens on all addresses`
	for host, good := range map[string]bool{
		"0.0.0.0": true, "::": true, "fe80::1%eth0": true, "localhost": true, "hqm.example.com": true, "a_b-c.": true,
		"": false, "[::1]": false, "localhost:80": false, "a b": false, "http://a": false, "-a": false, "1:2": false,
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(Sources{Flags: map[string]string{"server.host": host}})
			if good {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, "configuration: 1 fault\n  --server.host: server.host: "+quote(host)+fault)
			}
		})
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	const (
		absolute = ": must be an absolute URL, http or https, for instance https://orders.internal:8443/api"
		user     = ": ***: must not hold a user or password"
		query    = ": ***: must have neither query nor fragment"
	)
	for _, test := range []struct{ give, want string }{
		{give: "http://a"},
		{give: "https://a.b:65535/c/d%2Fe;f=g/"},
		{give: "http://[::1]:8080/x"},
		{give: "HTTPS://A"},
		{give: "orders", want: `: "orders"` + absolute},
		{give: "//orders", want: `: "//orders"` + absolute},
		{give: "ftp://a", want: `: "ftp://a"` + absolute},
		{give: "http:", want: `: "http:"` + absolute},
		{give: "http://", want: `: "http://"` + absolute},
		{give: "http:///x", want: `: "http:///x"` + absolute},
		{give: "http://:80", want: `: "http://:80"` + absolute},
		{give: "http://a:0", want: `: "http://a:0"` + absolute},
		{give: "http://a:65536", want: `: "http://a:65536"` + absolute},
		{give: "http://a b", want: `: "http://a b"` + absolute},
		{give: "http://a/%zz", want: `: "http://a/%zz"` + absolute},
		{give: "http://u:s3 cret@a", want: ": ***" + absolute},
		{give: "http://u:s3cret@a", want: user},
		{give: "http://@a", want: user},
		{give: "http://a?k=s3cret", want: query},
		{give: "http://a?", want: query},
		{give: "http://a#s3cret", want: query},
		{give: "http://a#", want: query},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			for _, key := range []string{"server.public_url", "proxy.endpoints.a.url"} {
				_, _, err := Load(Sources{Flags: map[string]string{key: test.give}})
				if test.want == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, "configuration: 1 fault\n  --"+key+": "+key+test.want)
				}
			}
		})
	}
}

// rule is a configuration with the faults that it has.
type rule struct {
	give string
	want []string
}

func TestRulesBetweenKeys(t *testing.T) {
	t.Parallel()
	checkRules(t, []rule{
		{give: "proxy: {default_endpoint: echo}"},
		{give: "proxy: {default_endpoint: a, endpoints: {a: {url: http://a}}}"},
		{give: "proxy: {default_endpoint: echo, endpoints: {a: {url: http://a}}}", want: []string{
			`f.yaml:1: proxy.default_endpoint: "echo": must be empty or one of the endpoints: a`,
		}},
		{give: "role: api", want: []string{
			`f.yaml:1: role: "api": must be "all": the embedded queue and store belong to one process`,
		}},
		{give: "{role: worker, store: {type: embedded}}", want: []string{
			`f.yaml:1: role: "worker": must be "all": the embedded queue and store belong to one process`,
		}},
		{give: "store: {type: redis}", want: []string{
			`f.yaml:1: store.type: "redis": must be auto or "embedded" with queue.type "embedded"`,
		}},
		{give: "{queue: {type: redis}, store: {type: embedded}}", want: []string{
			`f.yaml:1: store.type: "embedded": must be auto or "redis" with queue.type "redis"`,
		}},
		{give: "{role: worker, queue: {type: redis, responses: a, dead_letters: b}, store: {type: redis}}"},
		{give: "{role: api, queue: {type: redis, results_in: 'a:b'}}"},
		{give: "{role: all, queue: {type: redis, results_in: a}, redis: {shards: 2}}", want: []string{
			`f.yaml:1: queue.results_in: "a": needs role "api": with it the requests are for consumers of other programs`,
			`f.yaml:1: redis.shards: "2": must be 1 with queue.results_in: other programs read one stream`,
		}},
		{give: "queue: {responses: a, results_in: b, dead_letters: c}", want: []string{
			`f.yaml:1: queue.responses: "a": has no effect with the embedded queue, which no other program can reach`,
			`f.yaml:1: queue.results_in: "b": has no effect with the embedded queue, which no other program can reach`,
			`f.yaml:1: queue.dead_letters: "c": has no effect with the embedded queue, which no other program can reach`,
		}},
		{give: "{role: api, queue: {type: redis, requests: '{a}', responses: b, results_in: b}}", want: []string{
			`f.yaml:1: queue.requests: "{a}": must be 1 to 200 of A-Z a-z 0-9 . _ : -`,
			`f.yaml:1: queue.results_in: "b": is also queue.responses; they must be different`,
		}},
		{give: "redis: {url: ''}", want: []string{`f.yaml:1: redis.url: ***: is required`}},
		{
			give: "embedded: {dir: data, backup_dir: data/../data/backups}",
			want: []string{`f.yaml:1: embedded.backup_dir: "data/../data/backups": must not be in embedded.dir`},
		},
		{give: "server: {tls: {cert_file: a}, admin_tls: {client_ca_file: b}}", want: []string{
			`f.yaml:1: server.tls.cert_file: "a": must be set together with key_file`,
			`f.yaml:1: server.admin_tls.client_ca_file: "b": needs cert_file and key_file`,
		}},
		{give: "server: {admin_tls: {cert_file: a, key_file: b}}", want: []string{
			`f.yaml:1: server.admin_tls.cert_file: "a": has no effect without server.admin_listen`,
		}},
		{give: "server: {api_keys: [{name: a, sha256: " + string(digest("")) + "}, {name: b, sha256: " +
			string(digest("\n")) + "}, {name: c, sha256: " + string(digest("foo")) + "}]}", want: []string{
			"f.yaml:1: server.api_keys.0.sha256: ***: is the hash of an empty key: was the variable set that it was made from?",
			"f.yaml:1: server.api_keys.1.sha256: ***: is the hash of an empty line: was the variable set that it was made from?",
			"f.yaml:1: server.api_keys.2.sha256: ***: is the hash in the examples, whose key everybody knows: " +
				"make a key of your own",
		}},
		{give: "server: {hosts: [hqm.example.com, '*.shop.example', '*']}"},
		{give: "server: {hosts: ['hqm.example.com:8000']}", want: []string{
			`f.yaml:1: server.hosts: "hqm.example.com:8000": must be host names without a port, *.example.com for all ` +
				"below one, or *",
		}},
		{give: "server: {hosts: ['*.*']}", want: []string{
			`f.yaml:1: server.hosts: "*.*": must be host names without a port, *.example.com for all below one, or *`,
		}},
		{give: "embedded: {dir: ''}", want: []string{`f.yaml:1: embedded.dir: "": must be the path of a directory`}},
		{give: "worker: {max_bytes: 20MiB}"},
		{give: "worker: {max_bytes: 20971519}", want: []string{
			`f.yaml:1: worker.max_bytes: "20971519": must be at least twice the larger of server.max_body_size (10MiB) ` +
				"and proxy.max_response_size (10MiB): half of it is for requests, half for responses",
		}},
		{give: "proxy: {max_response_size: 1GiB}", want: []string{
			`default: worker.max_bytes: "256MiB": must be at least twice the larger of server.max_body_size (10MiB) ` +
				"and proxy.max_response_size (1GiB): half of it is for requests, half for responses",
		}},
		{give: "retry: {base: 1m, max: 1m}"},
		{give: "retry:\n  base: 2m", want: []string{`f.yaml:2: retry.base: "2m": must be at most retry.max, 1m`}},
		{give: "retry: {base: 2m}\nproxy: {endpoints: {a: {url: http://a}}}", want: []string{
			`f.yaml:1: retry.base: "2m": must be at most retry.max, 1m`,
		}},
		{give: "retry: {on_status: [100, 599, 99, 600]}", want: []string{
			`f.yaml:1: retry.on_status: "99": must be HTTP statuses, 100 to 599`,
		}},
		{give: "proxy: {endpoints: {a: {url: http://a, retry: {base: 2m}}}}", want: []string{
			`f.yaml:1: proxy.endpoints.a.retry.base: "2m": must be at most proxy.endpoints.a.retry.max, 1m`,
		}},
		{give: "proxy: {endpoints: {a: {url: http://a, retry: {max: 5ms}}}}", want: []string{
			`f.yaml:1: proxy.endpoints.a.retry.max: "5ms": must be at least retry.base, 1s`,
		}},
		{give: "proxy: {endpoints: {a: {url: http://a, timeout: 0s, retry: {jitter: 2, on_status: [0]}}}}", want: []string{
			`f.yaml:1: proxy.endpoints.a.timeout: "0s": must be 1ms to 8760h`,
			`f.yaml:1: proxy.endpoints.a.retry.jitter: "2": must be 0 to 1`,
			`f.yaml:1: proxy.endpoints.a.retry.on_status: "0": must be HTTP statuses, 100 to 599`,
		}},
		{give: "proxy: {forward_headers: ['*', X-A], strip_headers: [X-B]}"},
		{give: "proxy: {forward_headers: ['X-*'], strip_headers: ['*']}", want: []string{
			`f.yaml:1: proxy.forward_headers: "X-*": must be whole header names, or "*" for all`,
			`f.yaml:1: proxy.strip_headers: "*": must be whole header names`,
		}},
		{give: "proxy: {forward_headers: [''], strip_headers: ['a b']}", want: []string{
			`f.yaml:1: proxy.forward_headers: "": must be whole header names, or "*" for all`,
			`f.yaml:1: proxy.strip_headers: "a b": must be whole header names`,
		}},
	})
}

func checkRules(t *testing.T, tests []rule) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			if test.want == nil {
				loadYAML(t, test.give)
				return
			}
			require.Equal(t, test.want, faultsOf(t, Sources{File: write(t, "f.yaml", test.give)}))
		})
	}
}

func TestFieldsOfAnEndpoint(t *testing.T) {
	t.Parallel()
	const secret = "***"
	for _, test := range []struct {
		give string   // fields of the endpoint
		want []string // faults, without source and endpoint
	}{
		{give: "method: PROPFIND"},
		{give: "method: M-SEARCH"},
		{give: "method: get", want: []string{`method: "get": must be an HTTP method in capitals, and not CONNECT`}},
		{give: "method: CONNECT", want: []string{`method: "CONNECT": must be an HTTP method in capitals, and not CONNECT`}},
		{give: "method: 'A B'", want: []string{`method: "A B": must be an HTTP method in capitals, and not CONNECT`}},
		{give: "method: ''", want: []string{`method: "": must be an HTTP method in capitals, and not CONNECT`}},

		{give: "{dial_timeout: 1ms, header_timeout: 1ms}"},
		{give: "{dial_timeout: 8760h, header_timeout: 0s}"},
		{give: "{dial_timeout: 0s, header_timeout: -1s}", want: []string{
			`dial_timeout: "0s": must be 1ms to 8760h`,
			`header_timeout: "-1s": must be 1ms to 8760h`,
		}},
		{give: "header_timeout: 999us", want: []string{`header_timeout: "999us": must be 1ms to 8760h`}},

		{give: "headers: {X-A: a, x_b: '', Authorization: file:/run/x}"},
		{give: "headers: {X-A: a, x-a: b}", want: []string{"headers.x-a: ***: is the same header as X-A"}},
		{give: "headers: {host: a, Transfer-Encoding: b}", want: []string{
			"headers.Transfer-Encoding: ***: cannot be set: HTTP itself writes Transfer-Encoding",
			"headers.host: ***: cannot be set: HTTP itself writes host",
		}},

		{give: "auth: {type: none}"},
		{give: "auth: {type: bearer, token: t}"},
		{give: "auth: {type: api_key, token: t}"},
		{give: "auth: {type: api_key, token: t, header: X-Key}"},
		{give: "auth: {type: basic, username: u}"},
		{give: "auth: {type: basic, username: u, password: p}"},
		{give: "auth: {type: custom, token: t, header: X-Key}"},
		{give: "auth: {type: digest, token: t}", want: []string{
			`auth.type: "digest": must be one of none, bearer, api_key, basic, custom`,
		}},
		{give: "auth: {token: t, username: u, password: p, header: h}", want: []string{
			"auth.token: " + secret + ": has no effect with auth type none",
			`auth.username: "u": has no effect with auth type none`,
			"auth.password: " + secret + ": has no effect with auth type none",
			`auth.header: "h": has no effect with auth type none`,
		}},
		{give: "auth: {type: bearer, username: u}", want: []string{
			"auth.token: is required for auth type bearer",
			`auth.username: "u": has no effect with auth type bearer`,
		}},
		{give: "auth: {type: bearer, token: ''}", want: []string{
			"auth.token: " + secret + ": is required for auth type bearer",
		}},
		{give: "auth: {type: api_key}", want: []string{"auth.token: is required for auth type api_key"}},
		{give: "auth: {type: basic, password: p}", want: []string{"auth.username: is required for auth type basic"}},
		{give: "auth: {type: basic, username: 'a:b'}", want: []string{
			`auth.username: "a:b": must not contain ":" (RFC 7617 section 2)`,
		}},
		{give: "auth: {type: custom}", want: []string{
			"auth.token: is required for auth type custom", "auth.header: is required for auth type custom",
		}},
		{give: "auth: {type: custom, token: t, header: 'X Y'}", want: []string{
			`auth.header: "X Y": must be a valid header name (RFC 9110 section 5.6.2)`,
		}},
		{give: "auth: {type: custom, token: t, header: content-length}", want: []string{
			`auth.header: "content-length": cannot be set: HTTP itself writes content-length`,
		}},

		{give: "tls: {ca_file: /none, cert_file: /none, key_file: /none, server_name: a.b}"},
		{give: "tls: {cert_file: c}", want: []string{`tls.cert_file: "c": must be set together with key_file`}},
		{give: "tls: {key_file: k}", want: []string{"tls.cert_file: must be set together with key_file"}},
		{give: "tls: {server_name: 'a:443'}", want: []string{
			`tls.server_name: "a:443": must be a host name or an IP address`,
		}},
		{give: "{url: http://a, tls: {ca_file: c}}", want: []string{"tls: has no effect with an http URL"}},
		{give: "{url: HTTP://a, tls: {ca_file: c}}", want: []string{"tls: has no effect with an http URL"}},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			content := "proxy:\n  endpoints:\n    a: &a {url: https://a}\n    b: {<<: [" + braced(test.give) + ", *a]}"
			if test.want == nil {
				loadYAML(t, content)
				return
			}
			want := make([]string, len(test.want))
			for i, fault := range test.want {
				want[i] = "f.yaml:4: proxy.endpoints.b." + fault
			}
			require.Equal(t, want, faultsOf(t, Sources{File: write(t, "f.yaml", content)}))
		})
	}
}

func braced(fields string) string {
	if fields[0] == '{' {
		return fields
	}
	return "{" + fields + "}"
}
