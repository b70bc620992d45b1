package httpbackend_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

// TestDoAcceptsAResponseThatEndsWithItsConnection is the one case in which the end looks like a broken connection:
// without TLS (RFC 9112 section 6.3).
func TestDoAcceptsAResponseThatEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	server := listen(t, func(c *conversation) {
		c.readRequest()
		c.write("HTTP/1.0 200 OK\r\n\r\nall there is")
	})
	resp := do(t, newClient(t, httpbackend.Endpoint{URL: server.url}), callOf(http.MethodGet, nil))
	require.Equal(t, "all there is", string(resp.Body))
}

// TestDoRequiresTheClosureAlertOfTLS ends connections with it and without it, at a record's boundary (RFC 9112 section
// 9.8).
func TestDoRequiresTheClosureAlertOfTLS(t *testing.T) {
	t.Parallel()
	const (
		untilClose = "HTTP/1.1 200 OK\r\n\r\nall there is"
		length     = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nall there is"
		chunked    = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nall there is\r\n0\r\n\r\n"
	)
	tests := []struct {
		name, give string
		alert      bool
		want       bool
	}{
		{"no length, an alert", untilClose, true, true},
		{"no length, a cut", untilClose, false, false},
		{"no length and no body yet, a cut", "HTTP/1.1 200 OK\r\n\r\n", false, false},
		{"HTTP/1.0, a cut", "HTTP/1.0 200 OK\r\n\r\nall there is", false, false},
		{"a length, a cut", length, false, true},
		{"chunks, a cut", chunked, false, true},
	}
	ca := newAuthority(t)
	id := ca.issue(t, "backend.test", time.Now().Add(time.Hour))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{Certificates: []tls.Certificate{id}, MinVersion: version, MaxVersion: version}
		for _, tt := range tests {
			t.Run(tls.VersionName(version)+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				server := listen(t, func(c *conversation) { c.answerOverTLS(config, tt.give, tt.alert) })
				client := newClient(t, httpbackend.Endpoint{URL: "https://" + server.address, TLS: ca.trusted("backend.test")})
				resp, err := client.Do(t.Context(), callOf(http.MethodPost, []byte("{}")))
				if tt.want {
					require.NoError(t, err)
					require.Equal(t, "all there is", string(resp.Body))
					return
				}
				failure := requireFailure(t, domain.FailureBroken, resp, err)
				require.EqualError(t, failure.Err, "the connection was closed before the response was complete")
			})
		}
	}
}

// answerOverTLS answers one request; then the connection is closed, after a close_notify alert if alert is set.
func (c *conversation) answerOverTLS(config *tls.Config, answer string, alert bool) {
	secure := tls.Server(c.Conn, config)
	req, err := http.ReadRequest(bufio.NewReader(secure))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	_, _ = io.WriteString(secure, answer)
	if alert {
		_ = secure.CloseWrite()
	}
}

// TestDoNeverTakesAPartForTheWholeOverHTTP2 ends streams in ways that no server of net/http does.
func TestDoNeverTakesAPartForTheWholeOverHTTP2(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		length string
		end    func(f *http2.Framer, stream uint32) error
	}{
		{"a reset that says there is no error", "", func(f *http2.Framer, stream uint32) error {
			return f.WriteRSTStream(stream, http2.ErrCodeNo)
		}},
		{"a reset", "10", func(f *http2.Framer, stream uint32) error {
			return f.WriteRSTStream(stream, http2.ErrCodeCancel)
		}},
		{"an end before the length", "10", func(f *http2.Framer, stream uint32) error {
			return f.WriteData(stream, true, nil)
		}},
		{"an end after the length", "2", func(f *http2.Framer, stream uint32) error {
			return f.WriteData(stream, true, nil)
		}},
		{"a connection that is closed", "", func(*http2.Framer, uint32) error { return io.EOF }},
		{"a connection that is closed after GOAWAY", "", func(f *http2.Framer, stream uint32) error {
			_ = f.WriteGoAway(stream, http2.ErrCodeNo, nil)
			return io.EOF
		}},
	}
	ca := newAuthority(t)
	id := ca.issue(t, "backend.test", time.Now().Add(time.Hour))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := listen(t, func(c *conversation) {
				talkHTTP2(c, id, 1, func(f *http2.Framer, stream uint32) error {
					headers := http2.HeadersFrameParam{
						StreamID: stream, BlockFragment: status200(tt.length), EndHeaders: true,
					}
					if err := f.WriteHeaders(headers); err != nil {
						return err
					}
					if err := f.WriteData(stream, false, []byte("part")); err != nil {
						return err
					}
					return tt.end(f, stream)
				})
			})
			client := newClient(t, httpbackend.Endpoint{URL: "https://" + server.address, TLS: ca.trusted("backend.test")})
			resp, err := client.Do(t.Context(), callOf(http.MethodPost, []byte("{}")))
			requireFailure(t, domain.FailureBroken, resp, err)
			require.EqualValues(t, 1, server.requests.Load())
		})
	}
}

// status200 is a header block of :status 200, with a length unless it is empty.
func status200(length string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}) // a buffer never fails
	if length != "" {
		_ = encoder.WriteField(hpack.HeaderField{Name: "content-length", Value: length})
	}
	return block.Bytes()
}
