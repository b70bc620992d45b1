package httpbackend_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

// both runs a test over HTTP/1.1 and over HTTP/2.
func both(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, client *httpbackend.Client)) {
	t.Helper()
	for _, secure := range []bool{false, true} {
		t.Run("HTTP/2 "+strconv.FormatBool(secure), func(t *testing.T) {
			t.Parallel()
			var endpoint httpbackend.Endpoint
			var server *httptest.Server
			if secure {
				server = serveTLS(t, handler)
				endpoint.TLS = trusting(server.Certificate())
			} else {
				server = serve(t, handler)
			}
			endpoint.URL = server.URL
			test(t, newClient(t, endpoint))
		})
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

func TestDoReturnsExactBytes(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, "unzipped")
	require.NoError(t, z.Close())
	tests := []struct {
		name string
		give string
	}{
		{"nothing", ""},
		{"NUL and invalid UTF-8", "\x00\xff\r\n"},
		{"what is left zipped", zipped.String()},
		{"as much as is free of the budget", strings.Repeat("x", 64<<10)},
		{"a byte more", strings.Repeat("x", 64<<10+1)},
		{"as much as is allowed", strings.Repeat("y", maxResponse)},
	}
	for _, tt := range tests {
		for _, known := range []bool{true, false} {
			t.Run(tt.name+", length known "+strconv.FormatBool(known), func(t *testing.T) {
				t.Parallel()
				answer := func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Encoding", "gzip")
					if known {
						w.Header().Set("Content-Length", strconv.Itoa(len(tt.give)))
					} else {
						flush(w)
					}
					_, _ = io.WriteString(w, tt.give)
				}
				both(t, answer, func(t *testing.T, client *httpbackend.Client) {
					resp := do(t, client, callOf(http.MethodPost, []byte("{}")))
					require.Equal(t, http.StatusOK, resp.StatusCode)
					require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
					require.True(t, bytes.Equal([]byte(tt.give), resp.Body), "%d bytes of %d", len(resp.Body), len(tt.give))
				})
			})
		}
	}
}

func TestDoRefusesLargeResponses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give http.HandlerFunc
	}{
		{"by their length, without reading", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(maxResponse+1))
			flush(w)
			<-r.Context().Done() // the client goes away; a body never comes
		}},
		{"by their bytes", func(w http.ResponseWriter, _ *http.Request) {
			flush(w)
			_, _ = w.Write(make([]byte, maxResponse+1))
		}},
		{"that never end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 64<<10))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			both(t, tt.give, func(t *testing.T, client *httpbackend.Client) {
				resp, err := client.Do(t.Context(), callOf(http.MethodGet, nil))
				failure := requireFailure(t, domain.FailureTooLarge, resp, err)
				require.ErrorContains(t, failure, "larger than 1048576 bytes")
			})
		})
	}
}

func TestDoReturnsResponsesWithoutABody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		method string
		status int
		length string // as sent; "" for none
	}{
		{http.MethodHead, http.StatusOK, "5"},
		{http.MethodHead, http.StatusOK, "999999999"}, // over the limit, but there is no body
		{http.MethodHead, http.StatusNotFound, ""},
		{http.MethodGet, http.StatusNoContent, ""},
		{http.MethodGet, http.StatusNotModified, "5"},
		{http.MethodPost, http.StatusNoContent, ""},
		{http.MethodPost, http.StatusCreated, "0"},
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		if length := r.URL.Query().Get("length"); length != "" {
			w.Header().Set("Content-Length", length)
		}
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.WriteHeader(status)
	}
	both(t, answer, func(t *testing.T, client *httpbackend.Client) {
		for _, tt := range tests {
			call := callOf(tt.method, nil)
			call.Request.Query = "status=" + strconv.Itoa(tt.status) + "&length=" + tt.length
			resp := do(t, client, call)
			require.Equal(t, tt.status, resp.StatusCode)
			require.Empty(t, resp.Body)
			if tt.method == http.MethodHead {
				require.Equal(t, tt.length, resp.Header.Get("Content-Length"))
			}
		}
	})
}

func TestDoReturnsEndToEndFields(t *testing.T) {
	t.Parallel()
	server := listen(t, func(c *conversation) {
		c.readRequest()
		c.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" +
			"HTTP/1.1 418 Teapot\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nProxy-Authenticate: x\r\n" +
			"set-cookie: a=1\r\nSet-Cookie: b=2\r\nX-Empty:\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n" +
			"2\r\nok\r\n0\r\nX-End: 1\r\n\r\n")
	})
	client := newClient(t, httpbackend.Endpoint{URL: server.url})
	resp := do(t, client, callOf(http.MethodGet, nil))
	require.Equal(t, &domain.Response{
		StatusCode: http.StatusTeapot,
		Header:     domain.Header{"Set-Cookie": {"a=1", "b=2"}, "X-Empty": {""}},
		Body:       []byte("ok"),
	}, resp)
}

func TestDoNeverReturnsAPartOfAResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give http.HandlerFunc
	}{
		{"cut off after some bytes of a known length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "part")
			flush(w)
			panic(http.ErrAbortHandler)
		}},
		{"cut off after a chunk", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "part")
			flush(w)
			panic(http.ErrAbortHandler)
		}},
		{"cut off late", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 200<<10))
			flush(w)
			panic(http.ErrAbortHandler)
		}},
		{"cut off before the status", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			both(t, tt.give, func(t *testing.T, client *httpbackend.Client) {
				resp, err := client.Do(t.Context(), callOf(http.MethodPost, []byte("{}")))
				requireFailure(t, domain.FailureBroken, resp, err)
			})
		})
	}
}
