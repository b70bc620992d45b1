package domain_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestCheckPathAccepts(t *testing.T) {
	t.Parallel()
	for _, give := range []string{
		"", "/", "//", "/orders/42", "/orders/", "/a%20b", "/caf%C3%A9", "/a%2Fb", "/%ff",
		"/...", "/..a", "/a..", "/a..b", "/.a", "/.well-known/openid-configuration", "/.../x", "/%2e%2e%2e", "/a%2e",
		"/a?", "?", "/?", "/a;v=..", "/;", "/a;../b", "/%252e%252e", "/a:b@c!$&'()*+,=~", `/a\b`, "/a%5cb", "/*",
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, domain.CheckPath(give))
		})
	}
}

func TestCheckPathRefuses(t *testing.T) {
	t.Parallel()
	const (
		relative  = `must begin with "/"`
		unescaped = "must be percent-encoded (RFC 3986 section 3.3)"
		malformed = "has a malformed percent-encoding"
		dots      = "must not have dot segments"
		controls  = "must not have control characters"
	)
	tests := []struct {
		want string
		give []string
	}{
		{relative, []string{"a", "a/b", ".", "..", "../a", "?x", "??", "a?", `\a`, "%2fa", "http://other/", " /a"}},
		{unescaped, []string{
			"/a b", "/a\tb", "/a\r\nHost: other", "/a\n", "/a\x00", "/a\x7f", "/a?b=c", "/a??", "/a#b", "/..#", "/../ ",
		}},
		{malformed, []string{"/%", "/a%2", "/a%2?", "/a%zz", "/%%32e", "/%u002e"}},
		{dots, []string{
			"/.", "/..", "/..?", "/./", "/../", "/a/..", "/a/../b", "/a/./b", "//..//",
			"/%2e", "/%2E", "/%2e%2e", "/%2e%2E/b", "/a/.%2e", "/a/%2E./b",
			"/..;", "/..;x", "/a/..;x=1/b", "/.;x", "/%2e%2e;x", "/..%3bx", "/..;x;y",
			"/%2f..", "/a%2f..", "/..%2f", "/..%2Fb", "/a%2F%2e%2e%2fb",
			`/a\..`, `/a\..\b`, `/..\b`, `/.\b`, "/a%5c..", "/a%5C..%5cb", "/%5c%2e%2e", `/a\..;x`, `/..%5c`,
		}},
		{controls, []string{"/..%00/", "/%00", "/a%0d%0ab", "/a%09", "/%1f", "/%7F", "/%C2%85", "/a%00?"}},
	}
	for _, tt := range tests {
		for _, give := range tt.give {
			t.Run(give, func(t *testing.T) {
				t.Parallel()
				require.Equal(t, tt.want, domain.CheckPath(give))
			})
		}
	}
}

func TestCheckQuery(t *testing.T) {
	t.Parallel()
	const unescaped = "must be percent-encoded (RFC 3986 section 3.4)"
	tests := []struct {
		want string
		give []string
	}{
		{"", []string{
			"", "a=1&b=2", "a=1&a=2", "a", "&&", "q=a+b%20c", "url=http://h/p?x=1", "a=%", "a=%zz", "path=../..", "a=/?:@",
		}},
		{unescaped, []string{"a b", "a\tb", "a=1\r\nX: y", "a\n", "a\x00", "a\x7f", "a#b", "#"}},
	}
	for _, tt := range tests {
		for _, give := range tt.give {
			t.Run(give, func(t *testing.T) {
				t.Parallel()
				require.Equal(t, tt.want, domain.CheckQuery(give))
			})
		}
	}
}

// dotSegment finds what a server could resolve, in a decoded path: a segment of one or two dots, with or without
// parameters, between slashes of either kind.
var dotSegment = regexp.MustCompile(`(^|[/\\])\.{1,2}($|[/\\;])`)

func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{
		"", "/", "/a/b", "/a/../b", "/%2e%2E", "/..;x", "/%2f..", `/a\..`, "/%5c..", "/...", "/.well-known", "/a%", "a", "/ ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		reason := domain.CheckPath(path)
		decoded, err := url.PathUnescape(path)
		if reason == "must not have dot segments" {
			require.Regexp(t, dotSegment, decoded)
		}
		if reason != "" || path == "" {
			return
		}
		require.NoError(t, err)
		require.NotRegexp(t, dotSegment, decoded)
		require.False(t, strings.ContainsAny(path, "\x00\t\r\n ?#\x7f"), "it would break the request line")

		u, err := url.Parse("http://backend/base" + path)
		require.NoError(t, err)
		require.Equal(t, "backend", u.Host)
		require.Equal(t, "/base"+decoded, u.Path)
	})
}
