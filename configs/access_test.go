package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// digest is what stands in a configuration for a key.
func digest(key string) Digest {
	sum := sha256.Sum256([]byte(key))
	return Digest(hex.EncodeToString(sum[:]))
}

func TestADigestReturnsItsBytes(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte("foo"))
	require.Equal(t, want, digest("foo").Sum())
	require.Equal(t, want, Digest(strings.ToUpper(string(digest("foo")))).Sum())
}

func TestRulesOfAPIKeys(t *testing.T) {
	t.Parallel()
	a, b := digest("a"), digest("b")
	const proxy = "\nproxy: {endpoints: {orders: {url: http://a}, notify: {url: http://b}}}"
	for _, test := range []struct {
		give string // entries
		want []string
	}{
		{give: fmt.Sprintf("- {name: a, sha256: %s, endpoints: [orders, notify]}\n- {name: b, sha256: %s}", a, b)},
		{give: "- {name: a, admin: true}", want: []string{"f.yaml:3: server.api_keys.0.sha256: is required"}},
		{give: fmt.Sprintf("- {sha256: %s}\n- {name: '', sha256: %s}", a, b), want: []string{
			"f.yaml:3: server.api_keys.0.name: is required", `f.yaml:4: server.api_keys.1.name: "": is required`,
		}},
		{give: fmt.Sprintf("- {name: a b, sha256: %s}", a), want: []string{
			`f.yaml:3: server.api_keys.0.name: "a b": must have 1 to 64 of the characters A-Z a-z 0-9 . _ -`,
		}},
		{give: fmt.Sprintf("- {name: a, sha256: %s}\n- {name: a, sha256: %s}", a, b), want: []string{
			`f.yaml:4: server.api_keys.1.name: "a": is already the name of another key`,
		}},
		{give: fmt.Sprintf("- {name: a, sha256: %s}\n- {name: b, sha256: %s}", a, strings.ToUpper(string(a))), want: []string{
			`f.yaml:4: server.api_keys.1.sha256: ***: is also that of "a"`,
		}},
		{give: fmt.Sprintf("- {name: a, sha256: %s0}", a), want: []string{
			"f.yaml:3: server.api_keys.0.sha256: ***: must be the SHA-256 of the key, 64 hex digits",
		}},
		{give: fmt.Sprintf("- {name: a, sha256: g%s}", a[1:]), want: []string{
			"f.yaml:3: server.api_keys.0.sha256: ***: must be the SHA-256 of the key, 64 hex digits",
		}},
		{give: "- {name: a, sha256: 's3cret${MISSING}'}", want: []string{
			"f.yaml:3: server.api_keys.0.sha256: ***: needs variables that are not set: MISSING",
		}},
		{give: fmt.Sprintf("- {name: a, sha256: %s, endpoints: [orders, billing]}", a), want: []string{
			`f.yaml:3: server.api_keys.0.endpoints: "billing": must be among the endpoints: notify, orders`,
		}},
		{give: fmt.Sprintf("- {name: a, sha256: %s, admin: yes}", a), want: []string{
			`f.yaml:3: server.api_keys.0.admin: "yes": must be true or false`,
		}},
		{give: fmt.Sprintf("- {name: a, sha256: %s, role: admin}", a), want: []string{
			"f.yaml:3: server.api_keys.0.role: unknown key; allowed here: name, sha256, endpoints, admin",
		}},
		{give: "- s3cret", want: []string{
			"f.yaml:3: server.api_keys.0: must be a mapping of keys to values",
			"f.yaml:3: server.api_keys.0.name: is required", "f.yaml:3: server.api_keys.0.sha256: is required",
		}},
		{give: "  {name: a}", want: []string{"f.yaml:3: server.api_keys: must be a list"}},
		{give: strings.Repeat("- {name: a}\n", maxKeys+1), want: []string{
			"f.yaml:3: server.api_keys: must be at most 1000",
		}},
	} {
		t.Run(test.give[:min(len(test.give), 100)], func(t *testing.T) {
			t.Parallel()
			content := "server:\n  api_keys:\n  " + strings.ReplaceAll(test.give, "\n", "\n  ") + proxy
			if test.want == nil {
				require.Len(t, loadYAML(t, content).Server.APIKeys, 2)
				return
			}
			require.Equal(t, test.want, faultsOf(t, Sources{File: write(t, "f.yaml", content)}))
		})
	}
}

func TestAdminListen(t *testing.T) {
	t.Parallel()
	for give, good := range map[string]bool{
		"": true, "127.0.0.1:8001": true, "[::1]:0": true, ":8001": true, "localhost:65535": true,
		"8001": false, "127.0.0.1": false, "::1:8001": false, "a:": false, "a:65536": false, "a:http": false, "a b:1": false,
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(Sources{Flags: map[string]string{"server.admin_listen": give}})
			if good {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, "configuration: 1 fault\n  --server.admin_listen: server.admin_listen: "+
					quote(give)+": must be empty or host:port, for instance 127.0.0.1:8001")
			}
		})
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, `server: {trusted_proxies: [10.1.2.3/8, 192.0.2.7, "fd00::1/8", "::1"]}`)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8"),
		netip.MustParsePrefix("::1/128"),
	}, config.Server.ProxyPrefixes())
	for _, give := range []string{
		"", "*", "proxy.internal", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104",
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(Sources{File: write(t, "f.yaml", fmt.Sprintf("server: {trusted_proxies: [10.0.0.1, %q]}", give))})
			require.ErrorContains(t, err, "server.trusted_proxies: "+quote(give)+": must be IP addresses or networks")
		})
	}
}

func TestOriginsOfPages(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, `server: {cors: {origins: ["https://app.example", "http://localhost:5173", "http://[::1]:81"],
  headers: [X-A], max_age: 0s}}`)
	require.Equal(t, CORS{
		Origins: []string{"https://app.example", "http://localhost:5173", "http://[::1]:81"}, Headers: []string{"X-A"},
	}, config.Server.CORS)
	keys := `, api_keys: [{name: a, sha256: ` + strings.Repeat("ab", sha256.Size) + `}]`
	require.Equal(t, []string{"*"}, loadYAML(t, `server: {cors: {origins: ["*"]}`+keys+`}`).Server.CORS.Origins)
	for give, want := range map[string]string{
		`origins: ["*"]`:        `server.cors.origins: "*": needs server.api_keys`,
		`headers: ["X-*"]`:      `server.cors.headers: "X-*": must be whole header names`,
		`max_age: 25h`:          `server.cors.max_age: `,
		`origins: [app]`:        `server.cors.origins: "app": must be origins`,
		`origins: [https://a/]`: `server.cors.origins: "https://a/": must be origins`,
	} {
		_, _, err := Load(Sources{File: write(t, "f.yaml", "server: {cors: {"+give+"}}")})
		require.ErrorContains(t, err, want)
	}
}

func TestOriginsThatNoBrowserSendsAreRefused(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]bool{
		"https://app.example": true, "http://app.example:8080": true, "http://127.0.0.1:1": true, "https://a:80": true,
		"": false, "null": false, "app.example": false, "ftp://a": false, "https://": false, "https://a:443": false,
		"http://a:80": false, "https://a/": false, "https://a?b": false, "https://A": false, "HTTPS://a": false,
		"https://u@a": false, "https://a:": false, "https://a:65536": false, "https://*.example": false, "https://a#": false,
	} {
		require.Equal(t, want, validOrigin(give), "%q", give)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	const rates = "must be 0 for no limit, or 0.001 to 1000000"
	for _, test := range []struct {
		give      string
		want      RateLimit
		wantFault string
	}{
		{give: "{}"},
		{give: "{rps: 0, burst: 0}"},
		{give: "{rps: 0.001}", want: RateLimit{RPS: 0.001, Burst: 1}},
		{give: "{rps: 2.1}", want: RateLimit{RPS: 2.1, Burst: 3}},
		{give: "{rps: 1000000}", want: RateLimit{RPS: 1_000_000, Burst: 1_000_000}},
		{give: "{rps: 2, burst: 1000000}", want: RateLimit{RPS: 2, Burst: 1_000_000}},
		{give: "{burst: 5}", wantFault: `burst: "5": has no effect while rps is 0, which means no limit`},
		{give: "{rps: 0.0009}", wantFault: `rps: "0.0009": ` + rates},
		{give: "{rps: -1}", wantFault: `rps: "-1": ` + rates},
		{give: "{rps: 1e300}", wantFault: `rps: "1e300": ` + rates},
		{give: "{rps: 1, burst: -1}", wantFault: `burst: "-1": must be 1 to 1000000`},
		{give: "{rps: 1, burst: 1000001}", wantFault: `burst: "1000001": must be 1 to 1000000`},
	} {
		for _, place := range []string{"server.rate_limit", "proxy.endpoints.a.rate_limit"} {
			t.Run(place+" "+test.give, func(t *testing.T) {
				t.Parallel()
				content := "server: {rate_limit: " + test.give + "}"
				if place != "server.rate_limit" {
					content = "proxy: {endpoints: {a: {url: http://a, rate_limit: " + test.give + "}}}"
				}
				if test.wantFault != "" {
					got := faultsOf(t, Sources{File: write(t, "f.yaml", content)})
					require.Equal(t, []string{"f.yaml:1: " + place + "." + test.wantFault}, got)
					return
				}
				config := loadYAML(t, content)
				if place == "server.rate_limit" {
					require.Equal(t, test.want, config.Server.RateLimit)
				} else {
					require.Equal(t, test.want, config.Proxy.Endpoints["a"].RateLimit)
				}
			})
		}
	}
}

func TestCallsInFlightAreShared(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		count     int
		endpoints string
		want      int
	}{
		{64, "a: {url: http://a}", 64},
		{64, "a: {url: http://a}, b: {url: http://b}", 32},
		{5, "a: {url: http://a}, b: {url: http://b}, c: {url: http://c}", 2},
		{1, "a: {url: http://a}, b: {url: http://b}", 1},
		{64, "a: {url: http://a, max_in_flight: 100}, b: {url: http://b}", 100},
	} {
		t.Run(test.endpoints, func(t *testing.T) {
			t.Parallel()
			config := loadYAML(t, fmt.Sprintf("worker: {count: %d}\nproxy: {endpoints: {%s}}", test.count, test.endpoints))
			require.Equal(t, test.want, config.Proxy.Endpoints["a"].MaxInFlight)
		})
	}
}

func TestRangesOfAnEndpoint(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]string{
		"max_in_flight: 65536":         "",
		"max_in_flight: -1":            `max_in_flight: "-1": must be 1 to 65536`,
		"max_in_flight: 65537":         `max_in_flight: "65537": must be 1 to 65536`,
		"breaker: {failures: 1000000}": "",
		"breaker: {failures: -1}":      `breaker.failures: "-1": must be 0 to 1000000`,
		"breaker: {failures: 1000001}": `breaker.failures: "1000001": must be 0 to 1000000`,
		"breaker: {ratio: 1}":          "",
		"breaker: {ratio: 1.1}":        `breaker.ratio: "1.1": must be 0 to 1`,
		"breaker: {min_calls: 0}":      `breaker.min_calls: "0": must be 1 to 1000000`,
		"breaker: {window: 0s}":        `breaker.window: "0s": must be 1ms to 8760h`,
		"breaker: {probes: 0}":         `breaker.probes: "0": must be 1 to 65536`,
		"breaker: {cooldown: 1ms}":     "",
		"breaker: {cooldown: 0s}":      `breaker.cooldown: "0s": must be 1ms to 8760h`,
		"breaker: {cooldown: 8761h}":   `breaker.cooldown: "8761h": must be 1ms to 8760h`,
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			content := "proxy: {endpoints: {a: {url: http://a, " + give + "}}}"
			if want == "" {
				loadYAML(t, content)
				return
			}
			got := faultsOf(t, Sources{File: write(t, "f.yaml", content)})
			require.Equal(t, []string{"f.yaml:1: proxy.endpoints.a." + want}, got)
		})
	}
}
