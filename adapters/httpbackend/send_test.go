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
				server := listen(t, breakSecond(reset))
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

// breakSecond answers the first request of each connection and closes it when it has read the second.
func breakSecond(reset bool) func(*conversation) {
	return func(c *conversation) {
		c.readRequest()
		c.write(answerOK)
		if c.readRequest() && reset {
			c.reset()
		}
	}
}

// TestARepeatableCallIsSentOnceMoreWhenItsConnectionWasIdleForTooLong holds that it is once, and on a new connection.
func TestARepeatableCallIsSentOnceMoreWhenItsConnectionWasIdleForTooLong(t *testing.T) {
	t.Parallel()
	for _, tt := range replayable {
		for _, reset := range []bool{false, true} {
			name := tt.method + " with body " + string(tt.body) + ", reset " + strconv.FormatBool(reset)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := listen(t, breakSecond(reset))
				client := newClient(t, httpbackend.Endpoint{URL: server.url})
				call := callOf(tt.method, tt.body)
				call.Repeatable = true
				do(t, client, call)
				do(t, client, call)
				require.EqualValues(t, 3, server.requests.Load())
				require.EqualValues(t, 2, server.connections.Load())
			})
		}
	}
}

// TestARepeatableCallIsNotRepeatedWhenItMayBeAtWork covers what says that the backend has it: a new connection, and the
// beginning of an answer.
func TestARepeatableCallIsNotRepeatedWhenItMayBeAtWork(t *testing.T) {
	t.Parallel()
	call := callOf(http.MethodGet, nil)
	call.Repeatable = true
	t.Run("a new connection", func(t *testing.T) {
		t.Parallel()
		server := listen(t, func(c *conversation) { c.readRequest() })
		resp, err := newClient(t, httpbackend.Endpoint{URL: server.url}).Do(t.Context(), call)
		requireFailure(t, domain.FailureBroken, resp, err)
		require.EqualValues(t, 1, server.requests.Load())
	})
	t.Run("the beginning of an answer", func(t *testing.T) {
		t.Parallel()
		server := listen(t, func(c *conversation) {
			c.readRequest()
			c.write(answerOK)
			if c.readRequest() {
				c.write("HTTP/1.1 200 OK\r\n")
			}
		})
		client := newClient(t, httpbackend.Endpoint{URL: server.url})
		do(t, client, call)
		resp, err := client.Do(t.Context(), call)
		requireFailure(t, domain.FailureBroken, resp, err)
		require.EqualValues(t, 2, server.requests.Load())
	})
}

// refusals turn a stream away unread.
var refusals = map[string]func(f *http2.Framer, stream uint32) error{
	"REFUSED_STREAM": func(f *http2.Framer, stream uint32) error {
		return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
	},
	"GOAWAY": func(f *http2.Framer, _ uint32) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) },
}

// TestWhatABackendTurnsAwayUnreadIsSentAgain refuses the first streams in ways that tell the client it may try again.
func TestWhatABackendTurnsAwayUnreadIsSentAgain(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	id := ca.issue(t, "backend.test", time.Now().Add(time.Hour))
	for name, refuse := range refusals {
		for _, tt := range replayable {
			t.Run(name+", "+tt.method+" with body "+string(tt.body), func(t *testing.T) {
				t.Parallel()
				server := listen(t, func(c *conversation) { talkHTTP2(c, id, 5, refuse) })
				client := newClient(t, httpbackend.Endpoint{
					URL: "https://" + server.address, TLS: ca.trusted("backend.test"),
				})
				resp := do(t, client, callOf(tt.method, tt.body))
				require.Equal(t, http.StatusNoContent, resp.StatusCode)
				require.EqualValues(t, 6, server.requests.Load())
			})
		}
	}
}

// TestAStreamThatEndsWithProtocolErrorMayHaveBeenProcessed holds that such a call is sent once or, if it may be
// repeated, twice.
func TestAStreamThatEndsWithProtocolErrorMayHaveBeenProcessed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	id := ca.issue(t, "backend.test", time.Now().Add(time.Hour))
	refuse := func(f *http2.Framer, stream uint32) error { return f.WriteRSTStream(stream, http2.ErrCodeProtocol) }
	for _, tt := range replayable {
		for _, repeatable := range []bool{false, true} {
			name := tt.method + " with body " + string(tt.body) + ", repeatable " + strconv.FormatBool(repeatable)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := listen(t, func(c *conversation) { talkHTTP2(c, id, 1000, refuse) })
				client := newClient(t, httpbackend.Endpoint{
					URL: "https://" + server.address, TLS: ca.trusted("backend.test"),
				})
				call := callOf(tt.method, tt.body)
				call.Repeatable = repeatable
				resp, err := client.Do(t.Context(), call)
				requireFailure(t, domain.FailureBroken, resp, err)
				want := int64(1)
				if repeatable {
					want = 2
				}
				require.Equal(t, want, server.requests.Load())
			})
		}
	}
}

// TestABackendThatTurnsEverythingAwayIsGivenUp bounds the tries of one attempt.
func TestABackendThatTurnsEverythingAwayIsGivenUp(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	id := ca.issue(t, "backend.test", time.Now().Add(time.Hour))
	server := listen(t, func(c *conversation) { talkHTTP2(c, id, 1000, refusals["REFUSED_STREAM"]) })
	client := newClient(t, httpbackend.Endpoint{URL: "https://" + server.address, TLS: ca.trusted("backend.test")})
	resp, err := client.Do(t.Context(), callOf(http.MethodPost, []byte("{}")))
	failure := requireFailure(t, domain.FailureRefused, resp, err)
	require.False(t, failure.Kind.Charged())
	require.Less(t, server.requests.Load(), int64(100))
}

// talkHTTP2 refuses the first requests that the server gets and answers 204 to the others.
func talkHTTP2(c *conversation, pair tls.Certificate, first int64, refuse func(*http2.Framer, uint32) error) {
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
		case c.server.requests.Add(1) <= first:
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

// TestAnAnswerThatComesBeforeTheUploadHasEndedIsTheAnswer has servers that refuse an upload without reading it and
// close: the client gets a reset while it still writes (RFC 9112 section 9.6).
func TestAnAnswerThatComesBeforeTheUploadHasEndedIsTheAnswer(t *testing.T) {
	t.Parallel()
	for _, size := range []int{300 << 10, 8 << 20} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			server := listen(t, func(c *conversation) {
				if _, err := c.reader.ReadString('\n'); err == nil {
					c.write("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull")
				}
			})
			client := newClient(t, httpbackend.Endpoint{URL: server.url})
			for range 20 {
				resp := do(t, client, callOf(http.MethodPost, make([]byte, size)))
				require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
				require.Equal(t, "full", string(resp.Body))
			}
		})
	}
}

// TestWhatNobodyAskedForIsNobodysAnswer sends more than the answer, in the same breath. The connection is not used
// again, so the next call gets its own.
func TestWhatNobodyAskedForIsNobodysAnswer(t *testing.T) {
	t.Parallel()
	const stray = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
	tests := map[string]struct{ method, answer string }{
		"204 with a body":            {http.MethodPost, "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nsecret"},
		"304 with a body":            {http.MethodGet, "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nsecret"},
		"HEAD with a body":           {http.MethodHead, stray},
		"more than its length":       {http.MethodGet, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore"},
		"an answer nobody asked for": {http.MethodPost, "HTTP/1.1 204 No Content\r\n\r\n" + stray},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := listen(t, func(c *conversation) {
				for n := 0; c.readRequest(); n++ {
					c.write(tt.answer)
				}
			})
			client := newClient(t, httpbackend.Endpoint{URL: server.url})
			for range 50 {
				resp := do(t, client, callOf(tt.method, nil))
				require.NotContains(t, string(resp.Body), "secret")
			}
			require.EqualValues(t, 50, server.connections.Load())
		})
	}
}
