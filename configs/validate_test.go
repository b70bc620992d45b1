package configs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRangesOfNumbers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key     string
		low     string
		below   string
		high    string
		above   string
		allowed string
	}{
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
		{"kafka.partitions", "1", "0", "10000", "10001", "1 to 10000"},
		{"kafka.replication_factor", "0", "-1", "100", "101", "0 to 100"},
		{"kafka.session_timeout", "1s", "999ms", "30m", "31m", "1s to 30m"},
		{"worker.count", "1", "0", "65536", "65537", "1 to 65536"},
		{"worker.timeout", "1ms", "0s", "8760h", "8761h", "1ms to 8760h"},
		{"worker.drain", "0s", "-1s", "1h", "61m", "0s to 1h"},
		{"worker.max_bytes", "20MiB", "0", "1TiB", "2TiB", "1B to 1TiB"},
		{"retry.max_attempts", "1", "0", "1000", "1001", "1 to 1000"},
		{"retry.base", "1ms", "0s", "1m", "8761h", "1ms to 8760h"},
		{"retry.max", "1s", "0s", "8760h", "8761h", "1ms to 8760h"},
		{"retry.jitter", "0", "-0.1", "1", "1.1", "0 to 1"},
		{"proxy.max_response_size", "1", "0", "128MiB", "1025MiB", "1B to 1GiB"},
	} {
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

func TestRulesBetweenKeys(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give string
		want []string
	}{
		{give: "proxy: {default_endpoint: echo}"},
		{give: "proxy: {default_endpoint: a, endpoints: {a: {url: http://a}}}"},
		{give: "proxy: {default_endpoint: echo, endpoints: {a: {url: http://a}}}", want: []string{
			`f.yaml:1: proxy.default_endpoint: "echo": must be empty or an endpoint that there is: a`,
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
			`f.yaml:1: queue.responses: "a": has no use with the embedded queue, which no other program can reach`,
			`f.yaml:1: queue.results_in: "b": has no use with the embedded queue, which no other program can reach`,
			`f.yaml:1: queue.dead_letters: "c": has no use with the embedded queue, which no other program can reach`,
		}},
		{give: "{role: api, queue: {type: redis, requests: '{a}', responses: b, results_in: b}}", want: []string{
			`f.yaml:1: queue.requests: "{a}": must be 1 to 200 of A-Z a-z 0-9 . _ : -`,
			`f.yaml:1: queue.results_in: "b": is also queue.responses; they must be different`,
		}},
		{give: "{role: api, queue: {type: sqs, requests: a_b, responses: c}, sqs: {endpoint: 'http://a:1'}}"},
		{give: "{queue: {type: kafka, requests: a, responses: a.high, dead_letters: a-high}}", want: []string{
			`f.yaml:1: queue.responses: "a.high": is also where requests of high priority are; they must be different`,
		}},
		{give: "{queue: {type: sqs, requests: a, responses: a-high}}", want: []string{
			`f.yaml:1: queue.responses: "a-high": is also where requests of high priority are; they must be different`,
		}},
		{give: "{queue: {type: kafka}, kafka: {session_timeout: 20s}, store: {ttl: 80s}}"},
		{give: "{queue: {type: kafka}, kafka: {session_timeout: 20s}, store: {ttl: 79s}}", want: []string{
			`f.yaml:1: store.ttl: "79s": must be at least 1m20s with queue.type "kafka": the broker may hand a message out ` +
				"once more, and the result says that it is done",
		}},
		{give: "queue: {type: sqs, requests: a.fifo, responses: a.b}", want: []string{
			`f.yaml:1: queue.requests: "a.fifo": must not be a FIFO queue: those drop repeats within 5 minutes, ` +
				`and hold back what is behind a message at work`,
			`f.yaml:1: queue.responses: "a.b": must be 1 to 75 of A-Z a-z 0-9 _ - to name a queue of SQS`,
		}},
		{give: "{queue: {type: sqs, lease: 12h}, store: {ttl: 24h}, request: {max_age: 313h}, worker: {timeout: 12h}, " +
			"sqs: {endpoint: 'ftp://a'}, proxy: {endpoints: {a: {url: http://a}, " +
			"b: {url: http://b, timeout: 13h}}}}", want: []string{
			`f.yaml:1: sqs.endpoint: "ftp://a": must be an absolute URL, http or https, for instance ` +
				`https://orders.internal:8443/api`,
			`f.yaml:1: request.max_age: "313h": must be at most 312h with SQS, which keeps messages for 14 days`,
			`f.yaml:1: worker.timeout: "12h": must be at most 11h with SQS, which lends a message for 12h`,
			`f.yaml:1: proxy.endpoints.b.timeout: "13h": must be at most 11h with SQS, which lends a message for 12h`,
			`f.yaml:1: queue.lease: "12h": must be whole seconds up to 11h with SQS, which lends a message for 12h`,
		}},
		{give: "queue: {type: kafka, requests: 'a:b', responses: a.b}", want: []string{
			`f.yaml:1: queue.requests: "a:b": must be 1 to 200 of A-Z a-z 0-9 . _ - to name a topic of Kafka`,
		}},
		{give: "{role: worker, queue: {type: kafka}, store: {type: redis}}"},
		{give: "{queue: {type: kafka}, store: {type: embedded}}", want: []string{
			`f.yaml:1: store.type: "embedded": must be auto or "redis" with queue.type "kafka"`,
		}},
		{give: "kafka: {brokers: []}", want: []string{
			`f.yaml:1: kafka.brokers: must name a broker, for instance localhost:9092`,
		}},
		{give: "kafka: {brokers: [a, 'b:9092'], group: ''}", want: []string{
			`f.yaml:1: kafka.brokers: "a": must be host:port`,
			`f.yaml:1: kafka.group: "": must be 1 to 200 of A-Z a-z 0-9 . _ -`,
		}},
		{give: "kafka: {security_protocol: SASL_SSL, sasl: {username: u, password: p}, tls: {server_name: a}}"},
		{give: "kafka: {security_protocol: ssl, sasl: {mechanism: GSSAPI}}", want: []string{
			`f.yaml:1: kafka.security_protocol: "ssl": must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL`,
		}},
		{give: "kafka: {security_protocol: SASL_SSL, sasl: {mechanism: GSSAPI}}", want: []string{
			`f.yaml:1: kafka.sasl.mechanism: "GSSAPI": must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512`,
			`default: kafka.sasl.username: "": is required with SASL_SSL`,
		}},
		{give: "kafka: {tls: {server_name: a}}", want: []string{
			`default: kafka.security_protocol: "PLAINTEXT": must be SSL or SASL_SSL, because kafka.tls is set`,
		}},
		{give: "kafka: {sasl: {username: u}}", want: []string{
			`default: kafka.security_protocol: "PLAINTEXT": must begin with SASL, because kafka.sasl is set`,
		}},
		{give: "redis: {url: ''}", want: []string{`f.yaml:1: redis.url: ***: is required`}},
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
	} {
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
			"auth.token: " + secret + ": has no use with auth type none",
			`auth.username: "u": has no use with auth type none`,
			"auth.password: " + secret + ": has no use with auth type none",
			`auth.header: "h": has no use with auth type none`,
		}},
		{give: "auth: {type: bearer, username: u}", want: []string{
			"auth.token: is required for auth type bearer",
			`auth.username: "u": has no use with auth type bearer`,
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
		{give: "tls: {cert_file: c}", want: []string{`tls.cert_file: "c": goes only together with key_file`}},
		{give: "tls: {key_file: k}", want: []string{"tls.cert_file: goes only together with key_file"}},
		{give: "tls: {server_name: 'a:443'}", want: []string{
			`tls.server_name: "a:443": must be a host name or an IP address`,
		}},
		{give: "{url: http://a, tls: {ca_file: c}}", want: []string{"tls: has no use with an http URL"}},
		{give: "{url: HTTP://a, tls: {ca_file: c}}", want: []string{"tls: has no use with an http URL"}},
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
