package httpbackend_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

const answerOK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// replayable are the calls that net/http would like to repeat, and one that it would not.
var replayable = []struct {
	method string
	body   []byte
}{
	{http.MethodGet, nil},
	{http.MethodHead, nil},
	{http.MethodOptions, nil},
	{http.MethodDelete, nil}, // has an Idempotency-Key, as all have
	{http.MethodPost, nil},
	{http.MethodPost, []byte("{}")},
	{http.MethodGet, []byte("{}")},
}

// TestDoSendsOnce breaks a connection that was used before, when it has read the second request.
func TestDoSendsOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range replayable {
		for _, reset := range []bool{false, true} {
			name := tt.method + " with body " + string(tt.body) + ", reset " + strconv.FormatBool(reset)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := listen(t, func(c *conversation) {
					c.readRequest()
					c.write(answerOK)
					if c.readRequest() && reset {
						c.reset()
					}
				})
				client := newClient(t, httpbackend.Endpoint{URL: server.url})
				do(t, client, callOf(http.MethodPost, []byte("{}")))

				resp, err := client.Do(t.Context(), callOf(tt.method, tt.body))
				requireFailure(t, domain.FailureBroken, resp, err)
				require.EqualValues(t, 2, server.requests.Load())

				do(t, client, callOf(tt.method, tt.body)) // on a new connection
				require.EqualValues(t, 3, server.requests.Load())
				require.EqualValues(t, 2, server.connections.Load(), "no other was opened for a repetition")
			})
		}
	}
}

// TestDoSendsOnceOverHTTP2 turns away the first stream in ways that tell the client it may try again.
func TestDoSendsOnceOverHTTP2(t *testing.T) {
	t.Parallel()
	refusals := []struct {
		name string
		give func(f *http2.Framer, stream uint32) error
	}{
		{"REFUSED_STREAM", func(f *http2.Framer, stream uint32) error {
			return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		}},
		{"PROTOCOL_ERROR", func(f *http2.Framer, stream uint32) error {
			return f.WriteRSTStream(stream, http2.ErrCodeProtocol)
		}},
		{"GOAWAY", func(f *http2.Framer, _ uint32) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) }},
	}
	ca := newAuthority(t)
	id := ca.issue(t, "backend.test", time.Now().Add(time.Hour))
	for _, refusal := range refusals {
		for _, tt := range replayable {
			t.Run(refusal.name+", "+tt.method+" with body "+string(tt.body), func(t *testing.T) {
				t.Parallel()
				server := listen(t, func(c *conversation) { talkHTTP2(c, id, refusal.give) })
				client := newClient(t, httpbackend.Endpoint{
					URL: "https://" + server.address, TLS: ca.trusted("backend.test"),
				})
				resp, err := client.Do(t.Context(), callOf(tt.method, tt.body))
				requireFailure(t, domain.FailureBroken, resp, err)
				require.EqualValues(t, 1, server.requests.Load())

				do(t, client, callOf(tt.method, tt.body))
				require.EqualValues(t, 2, server.requests.Load())
			})
		}
	}
}

// talkHTTP2 refuses the first request that the server gets and answers 204 to the others.
func talkHTTP2(c *conversation, pair tls.Certificate, refuse func(*http2.Framer, uint32) error) {
	secure := tls.Server(c.Conn, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}})
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(secure, preface); err != nil {
		return
	}
	framer := http2.NewFramer(secure, secure)
	if framer.WriteSettings() != nil {
		return
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		headers, ok := frame.(*http2.HeadersFrame)
		switch {
		case !ok:
		case c.server.requests.Add(1) == 1:
			err = refuse(framer, headers.StreamID)
		default:
			err = framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: headers.StreamID, BlockFragment: status204(), EndHeaders: true, EndStream: true,
			})
		}
		if err != nil {
			return
		}
	}
}

// status204 is a header block of :status 204, entry 9 of the static table (RFC 7541 appendix A).
func status204() []byte { return []byte{0x80 | 9} }
