package httpapi

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := ProxyTrust{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("fd00::/8"),
	}
	for _, tt := range []struct {
		name      string
		remote    string
		forwarded []string
		want      string
	}{
		{"the connection's", "198.51.100.7:1234", nil, "198.51.100.7/32"},
		{"a client says what it likes", "198.51.100.7:1234", []string{"203.0.113.1"}, "198.51.100.7/32"},
		{"a proxy that says nothing", "10.0.0.1:1", nil, "10.0.0.1/32"},
		{"behind a proxy", "10.0.0.1:1", []string{"203.0.113.1"}, "203.0.113.1/32"},
		{"the last that is not trusted", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.1"}, "203.0.113.1/32"},
		{"through several proxies", "10.0.0.1:1", []string{"1.1.1.1,203.0.113.1 ,192.0.2.1, 10.9.9.9"}, "203.0.113.1/32"},
		{"in several lines", "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.1", "192.0.2.1, 10.9.9.9"}, "203.0.113.1/32"},
		{"a line says enough", "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.1", "192.0.2.7"}, "192.0.2.7/32"},
		{"nobody but proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3/32"},
		{"no address", "10.0.0.1:1", []string{"1.1.1.1, unknown"}, "10.0.0.1/32"},
		{"no address behind one", "10.0.0.1:1", []string{"203.0.113.1, unknown, 10.0.0.2"}, "10.0.0.2/32"},
		{"an empty element", "10.0.0.1:1", []string{"203.0.113.1,"}, "10.0.0.1/32"},
		{"an empty line", "10.0.0.1:1", []string{""}, "10.0.0.1/32"},
		{"with a port", "10.0.0.1:1", []string{"203.0.113.1:99"}, "203.0.113.1/32"},
		{"IPv6 by network", "[2001:db8:1:2:3:4:5:6]:1", nil, "2001:db8:1:2::/64"},
		{"IPv6 behind a proxy", "[fd00::1]:1", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"IPv6 with a port", "[fd00::1]:1", []string{"[2001:db8:1:2:3:4:5:6]:9"}, "2001:db8:1:2::/64"},
		{"IPv4 in IPv6 form", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.1"}, "203.0.113.1/32"},
		{"a zone", "[fe80::1%eth0]:1", nil, "fe80::/64"},
		{"not TCP", "pipe", []string{"203.0.113.1"}, "invalid Prefix"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
			require.Equal(t, tt.want, trusted.client(r).String())
			if tt.forwarded != nil {
				alone := &http.Request{RemoteAddr: tt.remote}
				require.Equal(t, trusted.client(alone), ProxyTrust(nil).client(r), "nobody is trusted")
			}
		})
	}
}

// fromHere is the origin of the requests that tests make.
func fromHere(host string) domain.Origin {
	return domain.Origin{Address: netip.MustParseAddr("127.0.0.1"), Proto: "http", Host: host}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	trusted := ProxyTrust{netip.MustParsePrefix("10.0.0.0/8")}
	const client, other = "198.51.100.7", "203.0.113.1"
	claims := http.Header{
		"X-Forwarded-For": {other}, "X-Forwarded-Proto": {"http, https"},
		"X-Forwarded-Host": {"evil", "evil, hqm.example.com:8443"},
	}
	for _, tt := range []struct {
		name   string
		remote string
		header http.Header
		want   domain.Origin
	}{
		{
			"a client says what it likes", client + ":1", claims,
			domain.Origin{Address: netip.MustParseAddr(client), Proto: "http", Host: "gateway:8000"},
		},
		{
			"a proxy says what it was asked", "10.0.0.1:1", claims,
			domain.Origin{Address: netip.MustParseAddr(other), Proto: "https", Host: "hqm.example.com:8443"},
		},
		{
			"a proxy that says nothing", "10.0.0.1:1", nil,
			domain.Origin{Address: netip.MustParseAddr("10.0.0.1"), Proto: "http", Host: "gateway:8000"},
		},
		{
			"a proxy that says nonsense", "10.0.0.1:1",
			http.Header{"X-Forwarded-Proto": {"https, gopher"}, "X-Forwarded-Host": {"a b"}},
			domain.Origin{Address: netip.MustParseAddr("10.0.0.1"), Proto: "http", Host: "gateway:8000"},
		},
		{"not TCP", "pipe", claims, domain.Origin{Proto: "http", Host: "gateway:8000"}},
		{
			"IPv6 is one address, not its network", "[2001:db8::7]:1", nil,
			domain.Origin{Address: netip.MustParseAddr("2001:db8::7"), Proto: "http", Host: "gateway:8000"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.remote, Header: tt.header, Host: "gateway:8000"}
			require.Equal(t, tt.want, trusted.origin(r))
		})
	}
}
