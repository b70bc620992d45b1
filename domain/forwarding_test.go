package domain_test

import (
	"maps"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestForwardingApply(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddr("192.0.2.43"), netip.MustParseAddr("2001:db8::17")
	claimed := domain.Header{
		"Forwarded": {"for=10.0.0.1", "for=10.0.0.2;proto=https"}, "X-Forwarded-For": {"10.0.0.1", "10.0.0.2"},
		"X-Forwarded-Host": {"evil"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"1"},
		"X-Forwarded-Prefix": {"/evil"}, "X-Forwarded-Server": {"evil"}, "X-Forwarded-Ssl": {"on"}, "X-Real-Ip": {"10.0.0.1"},
		"X_forwarded_for": {"10.0.0.1"}, "X-Forwarded-User": {"evil"}, "x_forwarded-anything": {"evil"},
		"X-Client-Ip": {"10.0.0.1"}, "X-Cluster-Client-Ip": {"10.0.0.1"}, "True-Client-Ip": {"10.0.0.1"},
		"CF-Connecting-IP": {"10.0.0.1"}, "Fastly-Client-Ip": {"10.0.0.1"}, "Cf_connecting_ip": {"10.0.0.1"},
		"X-Original-Url": {"/admin"}, "X-Rewrite-URL": {"/admin"}, "X-Original-Host": {"evil"}, "X_original_url": {"/admin"},
		"X-Original": {"kept"}, "Accept": {"kept"},
	}
	kept := domain.Header{"X-Original": {"kept"}, "Accept": {"kept"}}
	tests := []struct {
		name string
		mode domain.Forwarding
		from domain.Origin
		want domain.Header // beside what is kept; nil: everything stays as it was
	}{
		{"the zero value", "", domain.Origin{Address: v4, Proto: "http", Host: "a"}, nil},
		{"off", domain.ForwardingOff, domain.Origin{Address: v4, Proto: "http", Host: "a"}, nil},
		{
			"x-forwarded", domain.ForwardingX,
			domain.Origin{Address: v4, Proto: "https", Host: "hqm.example.com:8443"},
			domain.Header{
				"X-Forwarded-For": {"192.0.2.43"}, "X-Forwarded-Host": {"hqm.example.com:8443"},
				"X-Forwarded-Proto": {"https"},
			},
		},
		{
			"x-forwarded with IPv6", domain.ForwardingX,
			domain.Origin{Address: v6},
			domain.Header{"X-Forwarded-For": {"2001:db8::17"}},
		},
		{"x-forwarded of nobody", domain.ForwardingX, domain.Origin{}, domain.Header{}},
		{
			"rfc7239", domain.ForwardingRFC7239,
			domain.Origin{Address: v4, Proto: "http", Host: "hqm.example.com:8443"},
			domain.Header{"Forwarded": {`for=192.0.2.43;host="hqm.example.com:8443";proto=http`}},
		},
		{
			"rfc7239 with IPv6", domain.ForwardingRFC7239,
			domain.Origin{Address: v6, Proto: "https"},
			domain.Header{"Forwarded": {`for="[2001:db8::17]";proto=https`}},
		},
		{
			"rfc7239 with a host that would end the string", domain.ForwardingRFC7239,
			domain.Origin{Host: `a";for="\`},
			domain.Header{"Forwarded": {`for=unknown;host="a\";for=\"\\"`}},
		},
		{"rfc7239 of nobody", domain.ForwardingRFC7239, domain.Origin{}, domain.Header{"Forwarded": {"for=unknown"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := claimed.Clone()
			tt.mode.Apply(got, tt.from)
			if tt.want == nil {
				require.Equal(t, claimed, got)
				require.Empty(t, tt.mode.Names())
				return
			}
			for name := range tt.want {
				require.Contains(t, tt.mode.Names(), name)
			}
			want := kept.Clone()
			maps.Copy(want, tt.want)
			require.Equal(t, want, got)
		})
	}
}
