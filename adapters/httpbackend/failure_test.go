package httpbackend_test

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestDoClassifiesBrokenBackends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give func(*conversation)
		want domain.FailureKind
		text string
	}{
		{"closed at once", func(*conversation) {}, domain.FailureBroken, ""},
		{
			"closed after the request", func(c *conversation) { c.readRequest() },
			domain.FailureBroken, "closed before the response was complete",
		},
		{
			"reset after the request", func(c *conversation) { c.readRequest(); c.reset() },
			domain.FailureBroken, "connection reset",
		},
		{
			"half a header block", func(c *conversation) { c.readRequest(); c.write("HTTP/1.1 200 OK\r\nX-A: ") },
			domain.FailureBroken, "closed before the response was complete",
		},
		{
			"another protocol", func(c *conversation) { c.readRequest(); c.write("SSH-2.0-OpenSSH_9.2\r\n") },
			domain.FailureBroken, "malformed",
		},
		{
			"a malformed field", func(c *conversation) { c.readRequest(); c.write("HTTP/1.1 200 OK\r\nA B\r\n\r\n") },
			domain.FailureBroken, "malformed",
		},
		{"a malformed chunk", func(c *conversation) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		}, domain.FailureBroken, "malformed"},
		{"an unknown transfer coding", func(c *conversation) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nbbk")
		}, domain.FailureBroken, "malformed"},
		{"two lengths", func(c *conversation) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
		}, domain.FailureBroken, "malformed"},
		{"a reset in the body", func(c *conversation) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart")
			c.reset()
		}, domain.FailureBroken, ""},
		{"a switch of protocols", func(c *conversation) {
			c.readRequest()
			c.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			c.waitForClose()
		}, domain.FailureBroken, "not a final response"},
		{
			"a status below 100", func(c *conversation) { c.readRequest(); c.write("HTTP/1.1 099 Hm\r\n\r\n") },
			domain.FailureBroken, "not a final response",
		},
		{"a huge header block", func(c *conversation) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 70) + "\r\n")
			c.waitForClose()
		}, domain.FailureBroken, ""},
		{"interim responses without end", func(c *conversation) {
			c.readRequest()
			for {
				if _, err := c.Write([]byte("HTTP/1.1 102 Processing\r\nX-A: a\r\n\r\n")); err != nil {
					return
				}
			}
		}, domain.FailureBroken, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := listen(t, tt.give)
			client := newClient(t, httpbackend.Endpoint{URL: server.url})
			resp, err := client.Do(t.Context(), callOf(http.MethodPost, []byte(secret)))
			failure := requireFailure(t, tt.want, resp, err)
			require.ErrorContains(t, failure, tt.text)
			require.NotContains(t, failure.Error(), "127.0.0.1")
			require.Equal(t, server.address, failure.Address)
		})
	}
}

func TestDoReportsARefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	for _, scheme := range []string{"http://", "https://"} {
		client := newClient(t, httpbackend.Endpoint{URL: scheme + address + "/" + secret})
		resp, err := client.Do(t.Context(), callOf(http.MethodPost, nil))
		failure := requireFailure(t, domain.FailureUnreachable, resp, err)
		require.EqualError(t, failure.Err, "connection refused")
		require.Equal(t, address, failure.Address)
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	t.Parallel()
	phases := []struct {
		name string
		give func(*conversation)
	}{
		{"before the response", func(c *conversation) { c.readRequest(); c.waitForClose() }},
		{"in the middle of it", func(c *conversation) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart")
			c.waitForClose()
		}},
	}
	ends := []struct {
		name string
		give func(context.Context) (context.Context, context.CancelFunc)
		want domain.FailureKind
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}, domain.FailureTimeout},
		{"deadline before it began", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Unix(0, 0))
		}, domain.FailureTimeout},
		{"shutdown", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(50*time.Millisecond, func() { cancel(ports.ErrInterrupted) })
			return ctx, func() { timer.Stop() }
		}, domain.FailureInterrupted},
		{"shutdown below a deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(50*time.Millisecond, func() { cancel(ports.ErrInterrupted) })
			ctx, end := context.WithTimeout(ctx, time.Hour)
			return ctx, func() { timer.Stop(); end() }
		}, domain.FailureInterrupted},
	}
	for _, phase := range phases {
		for _, end := range ends {
			for _, body := range [][]byte{nil, []byte("{}")} {
				t.Run(phase.name+", "+end.name+", body "+string(body), func(t *testing.T) {
					t.Parallel()
					client := newClient(t, httpbackend.Endpoint{URL: listen(t, phase.give).url})
					ctx, cancel := end.give(t.Context())
					defer cancel()
					resp, err := client.Do(ctx, callOf(http.MethodPost, body))
					requireFailure(t, end.want, resp, err)
				})
			}
		}
	}
}

// TestDoEndsWithTheHeaderTimeout has a backend that is silent, which is given up although the attempt has a minute, and
// one that has begun to answer, which has the whole minute.
func TestDoEndsWithTheHeaderTimeout(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run("HTTP/2 "+strconv.FormatBool(secure), func(t *testing.T) {
			t.Parallel()
			late := make(chan struct{})
			answer := func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/silent" {
					<-r.Context().Done()
					close(late)
					return
				}
				flush(w)
				<-late
				_, _ = w.Write([]byte("late"))
			}
			endpoint := httpbackend.Endpoint{HeaderTimeout: time.Second}
			server := serve(t, answer)
			if secure {
				server = serveTLS(t, answer)
				endpoint.TLS = trusting(server.Certificate())
			}
			endpoint.URL = server.URL
			client := newClient(t, endpoint)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			slow := make(chan *domain.Response, 1)
			go func() {
				resp, _ := client.Do(ctx, callOf(http.MethodGet, nil))
				slow <- resp
			}()

			call := callOf(http.MethodGet, nil)
			call.Request.Path = "/silent"
			resp, err := client.Do(ctx, call)
			failure := requireFailure(t, domain.FailureTimeout, resp, err)
			require.EqualError(t, failure.Err, "no response within header_timeout")

			resp = <-slow
			require.NotNil(t, resp)
			require.Equal(t, "late", string(resp.Body))
		})
	}
}

func TestDoEndsWithItsContextOverHTTP2(t *testing.T) {
	t.Parallel()
	stall := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = w.Write([]byte("part"))
			flush(w)
		}
		<-r.Context().Done()
	}
	both(t, stall, func(t *testing.T, client *httpbackend.Client) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			resp, err := client.Do(ctx, callOf(method, nil))
			cancel()
			requireFailure(t, domain.FailureTimeout, resp, err)
		}
	})
}
