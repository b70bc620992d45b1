package httpbackend_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// received is what a backend saw of one request.
type received struct {
	*http.Request
	body string
}

// record starts a server, with TLS and HTTP/2 if secure, that reports what it receives.
func record(t *testing.T, secure bool) (*httptest.Server, *tls.Config, <-chan received) {
	t.Helper()
	seen := make(chan received, 1)
	handler := func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- received{r, string(body)}
	}
	if !secure {
		return serve(t, handler), nil, seen
	}
	server := serveTLS(t, handler)
	return server, trusting(server.Certificate()), seen
}

func TestDoSendsPathAndQueryAsTheyAre(t *testing.T) {
	t.Parallel()
	tests := []struct{ base, path, query, want string }{
		{"", "", "", "/"},
		{"", "", "a=1", "/?a=1"},
		{"/", "", "", "/"},
		{"", "/", "", "/"},
		{"/", "/", "", "/"},
		{"/base", "", "", "/base"},
		{"/base/", "", "", "/base/"},
		{"/base", "/x", "", "/base/x"},
		{"/base/", "/x", "", "/base/x"},
		{"/base/", "/x/", "", "/base/x/"},
		{"/b%2Fase", "/x", "", "/b%2Fase/x"},
		{"", "/a%2Fb%2fc", "", "/a%2Fb%2fc"},
		{"", "/a%20b+c", "", "/a%20b+c"},
		{"", "/a;v=1/b;v", "", "/a;v=1/b;v"},
		{"", "/%e2%82%ac/%E2%82%AC", "", "/%e2%82%ac/%E2%82%AC"},
		{"", "/%61%7E", "", "/%61%7E"},
		{"", "/:@!$&'()*,=~", "", "/:@!$&'()*,=~"},
		{"", `/a|b"<>^{}[]`, "", `/a|b"<>^{}[]`},
		{"", "/€", "", "/€"},
		{"", "//x//y/", "", "//x//y/"},
		{"", "//x%2Fy", "a=1", "//x%2Fy?a=1"},
		{"", "//x/{id}%2Fy%2fz", "a={b}", "//x/%7Bid%7D%2Fy%2fz?a={b}"}, // see endpoint.target
		{"/", `//a|b\"<>^{}%20/é`, "", "//a%7Cb%5C%22%3C%3E%5E%7B%7D%20/%C3%A9"},
		{"", "//{/:@!$&'()*+,;=~[]%5b%61", "", "//%7B/:@!$&'()*+,;=~[]%5b%61"},
		{"", "///*{}", "", "///*%7B%7D"},
		{"/base", "//x", "", "/base//x"},
		{"/base", "//{x}%2Fy", "", "/base//{x}%2Fy"},
		{"", "/x", "a=1&a=2&b=&c&=d", "/x?a=1&a=2&b=&c&=d"},
		{"", "/x", "q=a+b%20c%2fd;e", "/x?q=a+b%20c%2fd;e"},
		{"", "/x", "a=?&b=//h&c=é", "/x?a=?&b=//h&c=é"},
		{"/base?v=2", "/x", "", "/base/x?v=2"},
		{"/base?v=2", "/x", "a=1", "/base/x?v=2&a=1"},
		{"", "/x?", "", "/x?"},
		{"", "?", "", "/?"},
		{"", "//x{?", "", "//x%7B?"},
		{"/base", "?", "", "/base?"},
		{"", "/x?", "a=1", "/x?a=1"},
		{"/base?v=2", "/x?", "", "/base/x?v=2"},
	}
	for _, secure := range []bool{false, true} {
		server, secrets, seen := record(t, secure)
		for _, tt := range tests {
			client := newClient(t, httpbackend.Endpoint{URL: server.URL + tt.base, TLS: secrets})
			call := callOf(http.MethodGet, nil)
			call.Request.Path, call.Request.Query = tt.path, tt.query
			do(t, client, call)
			got := <-seen
			require.Equal(t, tt.want, got.RequestURI, "%+v", tt)
			require.Equal(t, strings.SplitAfter(server.URL, "://")[1], got.Host)
			require.Equal(t, secure, got.ProtoMajor == 2)
		}
	}
}

func TestDoSendsBodies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\x00\xff bytes", 100_000)
	tests := []struct {
		method string
		give   []byte
		length []string // of the Content-Length field over HTTP/1.1
	}{
		{http.MethodGet, nil, nil},
		{http.MethodGet, []byte{}, nil},
		{http.MethodHead, nil, nil},
		{http.MethodDelete, nil, nil},
		{http.MethodPost, nil, []string{"0"}},
		{http.MethodPost, []byte{}, []string{"0"}},
		{http.MethodPut, nil, []string{"0"}},
		{http.MethodPatch, nil, []string{"0"}},
		{http.MethodPost, []byte("\x00\r\n"), []string{"3"}},
		{http.MethodPut, []byte(long), []string{"800000"}},
		{http.MethodGet, []byte("{}"), []string{"2"}},
		{http.MethodDelete, []byte("{}"), []string{"2"}},
		{"PURGE", []byte("{}"), []string{"2"}},
		{http.MethodTrace, nil, nil},
	}
	for _, secure := range []bool{false, true} {
		server, secrets, seen := record(t, secure)
		client := newClient(t, httpbackend.Endpoint{URL: server.URL, TLS: secrets})
		for _, tt := range tests {
			do(t, client, callOf(tt.method, tt.give))
			got := <-seen
			require.Equal(t, tt.method, got.Method)
			require.Equal(t, string(tt.give), got.body)
			require.EqualValues(t, len(tt.give), got.ContentLength, tt.method)
			require.Empty(t, got.TransferEncoding, tt.method)
			if !secure {
				require.Equal(t, tt.length, got.Header["Content-Length"], tt.method)
			}
		}
	}
}

func TestDoRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	client := newClient(t, httpbackend.Endpoint{
		URL: server.URL, Auth: httpbackend.Auth{Kind: httpbackend.AuthBearer, Token: secret},
	})
	tests := []struct {
		name string
		give func(*ports.Call)
	}{
		{"a relative path", func(c *ports.Call) { c.Request.Path = "x" + secret }},
		{"a path with a line break", func(c *ports.Call) { c.Request.Path = "/x HTTP/1.1\r\n" + secret }},
		{"a path with a query", func(c *ports.Call) { c.Request.Path = "/x?" + secret }},
		{"dot segments", func(c *ports.Call) { c.Request.Path = "/a/%2e%2e/" + secret }},
		{"a malformed escape", func(c *ports.Call) { c.Request.Path = "/%zz" + secret }},
		{"a query with a space", func(c *ports.Call) { c.Request.Query = "a b" + secret }},
		{"a query with a fragment", func(c *ports.Call) { c.Request.Query = "a#" + secret }},
		{"no method", func(c *ports.Call) { c.Method = "" }},
		{"a method with a space", func(c *ports.Call) { c.Method = "GET " + secret }},
		{"CONNECT", func(c *ports.Call) { c.Method = http.MethodConnect }},
		{"TRACE, which would answer with our token", func(c *ports.Call) { c.Method = http.MethodTrace }},
		{"a header name with a space", func(c *ports.Call) { c.Request.Header = domain.Header{"A " + secret: {"v"}} }},
		{"an empty header name", func(c *ports.Call) { c.Request.Header = domain.Header{"": {secret}} }},
		{"a header value with a line break", func(c *ports.Call) {
			c.Request.Header = domain.Header{"X-A": {"ok", secret + "\r\nX-B: injected"}}
		}},
		{"a header value with NUL", func(c *ports.Call) { c.Request.Header = domain.Header{"X-A": {secret + "\x00"}} }},
		{"an id with a line break", func(c *ports.Call) { c.Request.ID = secret + "\r\n" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call := callOf(http.MethodPost, nil)
			tt.give(&call)
			resp, err := client.Do(t.Context(), call)
			requireFailure(t, domain.FailureUnsendable, resp, err)
		})
	}
}
