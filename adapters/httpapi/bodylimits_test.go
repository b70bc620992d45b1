package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeaderBlockIsLimited(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	request := func(size int) string {
		const head, tail = "GET /health/live HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nX-Long: ", "\r\n\r\n"
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	require.Contains(t, r.exchange(request(maxHeaderBlock)), "200 OK")
	require.Contains(t, r.exchange(request(maxHeaderBlock+1)), "431 ")
}

func TestMalformedRequestLeavesTheServerWell(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	for raw, want := range map[string]string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc\r\n\r\n":               "400 ",
		"GET / HTTP/9.9\r\n\r\n":                                                "505 ",
		"GET /health\r\n\r\n":                                                   "400 ",
		"GET /health HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n":                "400 ",
		"CONNECT example.org:443 HTTP/1.1\r\nConnection: close\r\n\r\n":         "404 ",
		"GET http://else/health/live HTTP/1.0\r\n\r\n":                          "200 ",
		"GET * HTTP/1.0\r\n\r\n":                                                "404 ",
		"POST /api/v1/submit HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n":          "417 ",
		"POST /api/v1/submit HTTP/1.0\r\n\r\n":                                  "400 ",
		"GET /health/live?%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": "200 ",
	} {
		require.Contains(t, r.exchange(raw), want, "%q", raw)
	}
	require.Equal(t, http.StatusOK, r.do("GET", "/health/live", "").StatusCode)
}
