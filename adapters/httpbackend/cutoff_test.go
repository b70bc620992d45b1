package httpbackend_test

import (
	"bytes"
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

// TestDoTakesAResponseThatEndsWithItsConnection is the one case in which the end cannot be told from a cut (RFC 9112
// section 6.3); with TLS neither, since crypto/tls takes an end without a close_notify for one at a record's boundary.
func TestDoTakesAResponseThatEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	server := listen(t, func(c *conversation) {
		c.readRequest()
		c.write("HTTP/1.0 200 OK\r\n\r\nall there is")
	})
	resp := do(t, newClient(t, httpbackend.Endpoint{URL: server.url}), callOf(http.MethodGet, nil))
	require.Equal(t, "all there is", string(resp.Body))
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
		{"a connection that is closed after it was told", "", func(f *http2.Framer, stream uint32) error {
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
				talkHTTP2(c, id, func(f *http2.Framer, stream uint32) error {
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
