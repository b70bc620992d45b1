package httpapi

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// sent reads a request with this method and target as the server does.
func sent(method, target string) (*http.Request, error) {
	raw := method + " " + target + " HTTP/1.1\r\nHost: gateway\r\n\r\n"
	return http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
}

func TestProxyTargetIsAsItWasSent(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", envelope.MaxTarget-1)
	for _, tt := range []struct {
		give string // after /proxy/
		want target
	}{
		{"orders", target{"orders", "", ""}},
		{"orders/", target{"orders", "/", ""}},
		{"orders//", target{"orders", "//", ""}},
		{"orders//a//b/", target{"orders", "//a//b/", ""}},
		{"orders?", target{"orders", "?", ""}},
		{"orders/a?", target{"orders", "/a?", ""}},
		{"orders/a??", target{"orders", "/a", "?"}},
		{"orders/a?b?", target{"orders", "/a", "b?"}},
		{"orders?a=1", target{"orders", "", "a=1"}},
		{"orders/?a=1&a=2&&b", target{"orders", "/", "a=1&a=2&&b"}},
		{"orders/a?b?c=/d?", target{"orders", "/a", "b?c=/d?"}},
		{"orders/a%2Fb%2fc", target{"orders", "/a%2Fb%2fc", ""}},
		{"orders/%00%ff%0d%0A", target{"orders", "/%00%ff%0d%0A", ""}},
		{"orders/%41%7e~", target{"orders", "/%41%7e~", ""}},
		{"orders/a;v=1,2/*'()!$&=+@:", target{"orders", "/a;v=1,2/*'()!$&=+@:", ""}},
		{"orders/a+b%20c?d+e%20f=%zz;g", target{"orders", "/a+b%20c", "d+e%20f=%zz;g"}},
		{`orders/"<>\^{|}` + "`[]", target{"orders", `/"<>\^{|}` + "`[]", ""}},
		{"orders/ä?ö", target{"orders", "/ä", "ö"}},
		{"orders/a/proxy/b", target{"orders", "/a/proxy/b", ""}},
		{"or%64ers/x", target{"orders", "/x", ""}},
		{"a%2Fb%20c/x", target{"a/b c", "/x", ""}},
		{"orders.v1/x", target{"orders.v1", "/x", ""}},
		{"orders/" + long + "?" + long, target{"orders", "/" + long, long}},
	} {
		for _, form := range []string{proxyPath, "http://gateway:80" + proxyPath} {
			r, err := sent("GET", form+tt.give)
			require.NoError(t, err, tt.give)
			got, err := front{}.target(r)
			require.NoError(t, err, tt.give)
			require.Equal(t, tt.want, got, tt.give)
		}
	}
}

func TestProxyTargetIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", envelope.MaxTarget)
	for _, tt := range []struct {
		give string
		want error
	}{
		{"/proxy/", errNoRoute},
		{"/proxy//", errNoRoute},
		{"/proxy//orders", errNoRoute},
		{"/proxy/?a", errNoRoute},
		{"/proxy/orders/" + long, &domain.Invalid{Field: "path", Reason: "may have at most 8192 bytes"}},
		{"/proxy/orders/?x" + long, &domain.Invalid{Field: "query", Reason: "may have at most 8192 bytes"}},
		{"/proxy/orders/\xff", &domain.Invalid{Field: "path", Reason: "must be percent-encoded (RFC 3986 section 2.1)"}},
		{"/proxy/orders?\xff", &domain.Invalid{Field: "query", Reason: "must be percent-encoded (RFC 3986 section 2.1)"}},
	} {
		r, err := sent("GET", tt.give)
		require.NoError(t, err, tt.give)
		_, err = front{}.target(r)
		require.Equal(t, tt.want, err, tt.give)
	}
}

func TestWholeTargetIsAsItWasSent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, give string
		want         target // without an endpoint: it is refused
	}{
		{"GET", "/", target{"orders", "/", ""}},
		{"GET", "/a%2Fb//?c=1&c=2", target{"orders", "/a%2Fb//", "c=1&c=2"}},
		{"GET", "//else/x", target{"orders", "//else/x", ""}},
		{"GET", "/proxy/other/x", target{"orders", "/proxy/other/x", ""}},
		{"GET", "http://else", target{"orders", "", ""}},
		{"GET", "/a?", target{"orders", "/a?", ""}},
		{"GET", "http://else?", target{"orders", "?", ""}},
		{"GET", "http://else?a/b", target{"orders", "", "a/b"}},
		{"GET", "http://else/http://x", target{"orders", "/http://x", ""}},
		{"GET", "/http://x", target{"orders", "/http://x", ""}},
		{"OPTIONS", "*", target{}},
		{"CONNECT", "else:443", target{}},
	} {
		r, err := sent(tt.method, tt.give)
		require.NoError(t, err, tt.give)
		got, err := front{endpoint: "orders"}.target(r)
		if tt.want.endpoint == "" {
			require.ErrorAs(t, err, new(*domain.Invalid), tt.give)
			continue
		}
		require.NoError(t, err, tt.give)
		require.Equal(t, tt.want, got, tt.give)
	}
}

// FuzzProxyTarget holds that a target which is accepted is handed on byte for byte, and that none of those climbs.
func FuzzProxyTarget(f *testing.F) {
	for _, seed := range []string{
		"orders", "orders/", "orders//a/../b", "orders/%2e%2E/x", "orders/..;/x", "orders/a%2Fb?c=%zz&c=2", "orders/%00",
		"a%2Fb/c", "/", "orders/\xff", "orders/#", "orders?a?b", `orders/..\x`, "orders/%5c..",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		r, err := sent("GET", proxyPath+rest)
		if err != nil || r.RequestURI != proxyPath+rest {
			t.Skip("refused by the HTTP parser, or another target")
		}
		got, err := front{}.target(r)
		if err != nil || domain.CheckPath(got.path) != "" || domain.CheckQuery(got.query) != "" {
			return // 400 or 404
		}
		segment, _, _ := strings.Cut(rest, "?")
		segment, _, _ = strings.Cut(segment, "/")
		again := segment + got.path
		if got.query != "" {
			again += "?" + got.query
		}
		require.Equal(t, rest, again)
		decoded, err := url.PathUnescape(got.path)
		require.NoError(t, err)
		require.NotContains(t, strings.Split(decoded, "/"), "..")
	})
}

func TestOptionsOfTheProxyPath(t *testing.T) {
	t.Parallel()
	s := ports.Submission{Header: domain.Header{
		"X-Openhqm-Timeout": {"90s"}, "X-Openhqm-Delay": {"1.5"}, "X-Openhqm-Priority": {"9"},
		"X-Openhqm-Max-Attempts": {"3"}, "X-Openhqm-Label-Team": {"red"}, "X-Openhqm-Label-Cost-Center": {"42"},
		"X-Openhqm-Id": {"a"}, "X-Openhqm-Label-": {"b"}, "X-Openhqm-": {"c", "d"}, "X_openhqm_priority": {"1"},
		"X-Openhqm-Label-A_b": {"c"},
		"X-Openhqm":           {"kept"}, "X-One": {"1", "2"},
	}}
	require.NoError(t, extractOptions(&s))
	require.Equal(t, ports.Submission{
		Header:  domain.Header{"X-Openhqm": {"kept"}, "X-One": {"1", "2"}},
		Timeout: 90e9, Delay: 15e8, Priority: 9, MaxAttempts: 3,
		Labels: map[string]string{"team": "red", "cost-center": "42", "a_b": "c"},
	}, s)

	s = ports.Submission{Header: domain.Header{"X-Openhqm-Not-Before": {"2026-01-02T03:04:05+01:00"}}}
	require.NoError(t, extractOptions(&s))
	require.Equal(t, "2026-01-02T02:04:05Z", s.NotBefore.UTC().Format("2006-01-02T15:04:05Z07:00"))
	require.Nil(t, s.Labels)
}

func TestOptionsThatAreRefusedNameTheField(t *testing.T) {
	t.Parallel()
	for field, values := range map[string][]string{
		"X-OpenHQM-Timeout": {
			"", "0", "-1", "soon", "1e400", "NaN", "Inf", "0x10", "1_0", `"90s"`, "[1]", "null", "+1", "\xff",
		},
		"X-OpenHQM-Delay":        {"", "-1s", "1d", "true"},
		"X-OpenHQM-Not-Before":   {"", "0", "2026-01-02", "tomorrow", "1767323045"},
		"X-OpenHQM-Priority":     {"", "10", "-1", "1.5", "urgent", "1e0", "０"},
		"X-OpenHQM-Max-Attempts": {"0", "1001", "x"},
		"X-OpenHQM-Label-Team":   {strings.Repeat("x", envelope.MaxLabelValue+1), "\xff"},
		"X-OpenHQM-Label-" + strings.Repeat("X", envelope.MaxLabelKey+1): {""},
	} {
		name := http.CanonicalHeaderKey(field)
		for _, value := range values {
			var invalid *domain.Invalid
			require.ErrorAs(t, extractOptions(&ports.Submission{Header: domain.Header{name: {value}}}), &invalid, value)
			require.True(t, strings.EqualFold(field, invalid.Field), "%s: %q", invalid.Field, value)
		}
		err := extractOptions(&ports.Submission{Header: domain.Header{name: {"1", "1"}}})
		require.ErrorContains(t, err, reasonTwice)
	}
}

func TestOtherPreferences(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ give, want []string }{
		{nil, nil},
		{[]string{"wait=10"}, nil},
		{[]string{"respond-async, WAIT = 10; x"}, nil},
		{[]string{"return=minimal"}, []string{"return=minimal"}},
		{[]string{`strict;a="b, wait=1" , wait=1,return="x"`}, []string{`strict;a="b, wait=1" ,return="x"`}},
		{[]string{"wait=1", "a", "b, respond-async"}, []string{"a", "b"}},
		{[]string{`x="open, wait=1`}, []string{`x="open, wait=1`}},
	} {
		require.Equal(t, tt.want, unknownPreferences(tt.give), "%q", tt.give)
	}
}
