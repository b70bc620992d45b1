package httpbackend

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// connecting makes the connections of a client in memory: each has serve at its other end.
func connecting(client *Client, serve func(net.Conn)) *int {
	dialed := new(int)
	client.endpoints["e"].pool.dialer.connect = func(context.Context, string, string) (net.Conn, error) {
		*dialed++
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			serve(far)
		}()
		return near, nil
	}
	return dialed
}

// answer answers so many requests, or all until the connection ends.
func answer(conn net.Conn, requests int) {
	reader := bufio.NewReader(conn)
	for ; requests != 0; requests-- {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

func post() ports.Call {
	return ports.Call{
		Method: http.MethodPost, Attempt: 1, Request: &domain.Request{ID: "1", Endpoint: "e", Body: []byte("{}")},
	}
}

// TestANewConnectionThatEndsBeforeTheRequestIsReplaced holds that nothing was sent, and that there is an end to it.
func TestANewConnectionThatEndsBeforeTheRequestIsReplaced(t *testing.T) {
	t.Parallel()
	for closed, want := range map[int]int{1: 2, freshTries - 1: freshTries, freshTries: freshTries, 100: freshTries} {
		t.Run(strconv.Itoa(closed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := newTestClient(t, "http://backend.test")
				var connections atomic.Int64
				dialed := connecting(client, func(conn net.Conn) {
					if connections.Add(1) > int64(closed) {
						answer(conn, 1)
					}
				})
				_, err := client.Do(t.Context(), post())
				require.Equal(t, want, *dialed)
				if closed < freshTries {
					require.NoError(t, err)
					return
				}
				failure, ok := errors.AsType[*domain.Failure](err)
				require.True(t, ok)
				require.Equal(t, domain.FailureBroken, failure.Kind)
			})
		})
	}
}

// TestDeadConnectionIsReplaced closes a connection while it is idle: no request has been seen, so the next goes on.
func TestDeadConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]ports.Call{"without a body": get(""), "with a body": post()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := newTestClient(t, "http://backend.test")
				dialed := connecting(client, func(conn net.Conn) { answer(conn, 1) })
				for range 3 {
					_, err := client.Do(t.Context(), call)
					require.NoError(t, err)
					synctest.Wait() // until the transport has seen the end
				}
				require.Equal(t, 3, *dialed)
			})
		})
	}
}

// TestABusyConnectionFollowsTheName moves a backend while calls never pause: what was connected before goes on working,
// so nothing but its age makes the next call look the name up again.
func TestABusyConnectionFollowsTheName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newTestClient(t, "http://backend.test")
		closed := 0
		dialed := connecting(client, func(conn net.Conn) { answer(conn, -1); closed++ })
		call := func() {
			_, err := client.Do(t.Context(), post())
			require.NoError(t, err)
		}
		for began := time.Now(); time.Since(began) < connectionAge; <-time.After(time.Second) {
			call()
		}
		require.Equal(t, 1, *dialed)
		call()
		synctest.Wait()
		require.Equal(t, 2, *dialed)
		require.Equal(t, 1, closed, "the old one is not left open")
		call()
		require.Equal(t, 2, *dialed)
		client.Close()
	})
}

// TestAConnectionInUseOutlivesItsAge ends one that is too old when its call is over, and no sooner.
func TestAConnectionInUseOutlivesItsAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newTestClient(t, "http://backend.test")
		slow := make(chan struct{})
		closed := 0
		dialed := connecting(client, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				<-slow
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = conn.Read(make([]byte, 1)) // until the peer closes
			}
			closed++
		})
		ended := make(chan error, 2)
		call := func() { _, err := client.Do(t.Context(), get("")); ended <- err }
		go call()
		<-time.After(connectionAge)
		go call()
		synctest.Wait()
		require.Equal(t, 2, *dialed)
		require.Empty(t, ended)
		close(slow)
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
		synctest.Wait()
		require.Equal(t, 1, closed)
		client.Close()
	})
}

func TestConnectingEndsWithTheDialTimeout(t *testing.T) {
	t.Parallel()
	silent := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			_, _ = io.Copy(io.Discard, far)
		}()
		return near, nil
	}
	tests := []struct {
		url     string
		connect func(ctx context.Context, network, address string) (net.Conn, error)
		want    string
	}{
		{"http://backend.test", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "connecting timed out"},
		{"https://backend.test", silent, "the TLS handshake timed out"},
		{"https://backend.test", func(ctx context.Context, network, address string) (net.Conn, error) {
			<-time.After(time.Minute - time.Second) // what it takes is not given to the handshake again
			return silent(ctx, network, address)
		}, "the TLS handshake timed out"},
	}
	for _, tt := range tests {
		t.Run(tt.url+" "+tt.want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := newTestClient(t, tt.url)
				client.endpoints["e"].pool.dialer.connect = tt.connect
				began := time.Now()
				_, err := client.Do(t.Context(), get(""))
				var failure *domain.Failure
				require.ErrorAs(t, err, &failure)
				require.Equal(t, domain.FailureUnreachable, failure.Kind)
				require.EqualError(t, failure.Err, tt.want)
				require.Equal(t, time.Minute, time.Since(began))
			})
		})
	}
}
