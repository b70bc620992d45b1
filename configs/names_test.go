package configs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHostNamesAreKeptInASCII(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", `
role: api
server: {host: bücher.test, admin_listen: "bücher.test:1", public_url: "https://Bücher.test/a/"}
queue: {type: redis}
redis: {url: "rediss://:p%C3%BCss@bücher.test", tls: {server_name: bücher.test}}
proxy:
  transparent: {listen: "bücher.test:2", endpoint: a}
  endpoints:
    a: {url: "https://bücher.test:8443/ü/%2F", tls: {server_name: bücher.test}}
    b: {url: "http://bücher.test"}
    c: {url: "http://shop_backend:1"}
`)
	config, _, err := Load(Sources{File: file})
	require.NoError(t, err)

	const name = "xn--bcher-kva.test"
	require.Equal(t, name, config.Server.Host)
	require.Equal(t, name+":1", config.Server.AdminListen)
	require.Equal(t, "https://"+name+"/a", config.Server.PublicURL)
	require.Equal(t, name, config.Redis.TLS.ServerName)
	require.Equal(t, name+":2", config.Proxy.Transparent.Listen)
	require.Equal(t, "https://"+name+":8443/ü/%2F", config.Proxy.Endpoints["a"].URL)
	require.Equal(t, name, config.Proxy.Endpoints["a"].TLS.ServerName)
	require.Equal(t, "http://"+name, config.Proxy.Endpoints["b"].URL)
	require.Equal(t, "http://shop_backend:1", config.Proxy.Endpoints["c"].URL)
	url, err := config.ResolveRedis()
	require.NoError(t, err)
	require.Equal(t, "rediss://:p%C3%BCss@"+name, url)
}

func TestHostsOfRedisAreKeptInASCII(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ give, want string }{
		"further servers": {
			give: "redis://u:p%C3%A4@bücher.test:1?addr=b%C3%BCcher.test:2&addr=a:3",
			want: "redis://u:p%C3%A4@xn--bcher-kva.test:1?addr=xn--bcher-kva.test%3A2&addr=a%3A3",
		},
		"nothing to convert": {give: "redis://:a%2Fb@a_b:1/3?addr=c:2", want: "redis://:a%2Fb@a_b:1/3?addr=c:2"},
		"no URL":             {give: "redis://ü:1:2", want: "redis://ü:1:2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, asciiRedisURL(tt.give))
		})
	}
}

func TestHostNamesThatDNSCannotHaveAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ key, value, want string }{
		{"server.public_url", "https://bücher_1.test", "for instance xn--bcher-kva.test for bücher.test"},
		{"server.host", "bücher_1.test", "must be an IP address or a host name"},
	} {
		t.Run(tt.key, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(Sources{Flags: map[string]string{tt.key: tt.value}})
			require.ErrorContains(t, err, tt.want)
		})
	}
	config, _, err := Load(Sources{Flags: map[string]string{"redis.url": "redis://bücher_1.test"}})
	require.NoError(t, err)
	_, err = config.ResolveRedis()
	require.ErrorContains(t, err, "must have a host name that DNS can have")
}
