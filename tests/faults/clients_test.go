package faults_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// abuse is something that a client does wrong.
type abuse struct {
	name     string
	send     func(net.Conn)
	want     int    // status of the answer; 0: the connection is closed without one
	wantCode string // of the problem document; empty where the HTTP parser answers
	times    int    // connections; 0: abuseTimes
}

const (
	abuseTimes    = 20 // so many that anything left behind is seen
	abuseAtOnce   = 10
	abusePiece    = 16 << 10
	bodyLimit     = 256 << 10 // server.max_body_size
	endlessBodies = 600       // together more than the memory that may be left in use
)

const (
	jsonType = "Content-Type: application/json\r\n"
	chunked  = "Transfer-Encoding: chunked\r\n"
)

// slowness is what takes the server's whole patience.
func slowness() []abuse {
	return []abuse{
		{name: "says nothing", send: text("")},
		{name: "stops in the header", send: text(submitLine + "X-Slow: ")},
		{
			name: "stops in the body", send: text(submitLine + "Content-Length: 1000\r\n\r\n{"),
			want: http.StatusRequestTimeout, wantCode: "REQUEST_TIMEOUT",
		},
		{
			name: "stops in a chunked body", send: text(submitLine + chunked + "\r\n5\r\n{\"pay"),
			want: http.StatusRequestTimeout, wantCode: "REQUEST_TIMEOUT",
		},
		{
			name: "sends a body that nobody asked for, and stops",
			send: text("DELETE /health HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000\r\n\r\n{"),
			want: http.StatusMethodNotAllowed, wantCode: "METHOD_NOT_ALLOWED",
		},
	}
}

// excess is what is too long, too large or too much.
func excess() []abuse {
	piece := strings.Repeat("x", abusePiece)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", abusePiece, piece)
	return []abuse{
		{
			name: "sends a body without end", send: endless(submitLine+chunked+"\r\n", chunk), times: endlessBodies,
			want: http.StatusRequestEntityTooLarge, wantCode: "PAYLOAD_TOO_LARGE",
		},
		{
			name: "sends a header without end", send: endless(submitLine, "X-More: "+piece+"\r\n"),
			want: http.StatusRequestHeaderFieldsTooLarge,
		},
		{
			name: "sends a header field without end", send: endless(submitLine+"X-More: ", piece),
			want: http.StatusRequestHeaderFieldsTooLarge,
		},
		{
			name: "sends a request line without end", send: endless("GET /", piece),
			want: http.StatusRequestHeaderFieldsTooLarge,
		},
		{
			name: "sends chunk extensions without end", want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
			send: endless(submitLine+chunked+"\r\n", "1;"+strings.Repeat("e", 1000)+"\r\n \r\n"),
		},
		{
			name: "announces a huge body", send: text(submitLine + "Content-Length: 9000000000000000000\r\n\r\n{"),
			want: http.StatusRequestEntityTooLarge, wantCode: "PAYLOAD_TOO_LARGE",
		},
		{
			name: "sends one byte too many", send: submission(jsonType, `"`+strings.Repeat("x", bodyLimit-1)+`"`),
			want: http.StatusRequestEntityTooLarge, wantCode: "PAYLOAD_TOO_LARGE",
		},
		{
			name: "names too many header fields", want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
			send: submission(jsonType, `{"payload": 1, "headers": {"X-A": [`+strings.Repeat(`"",`, 1000)+`""]}}`),
		},
		{
			name: "names too many labels", want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
			send: submission(jsonType, `{"payload": 1, "metadata": {"labels": {`+manyMembers(65)+`}}}`),
		},
		{
			name: "nests its JSON too deep", want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
			send: submission(jsonType, `{"payload": `+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}`),
		},
	}
}

// nonsense is what cannot be understood.
func nonsense() []abuse {
	return []abuse{
		{name: "does not speak HTTP", send: text("HELO gateway\r\n\r\n"), want: http.StatusBadRequest},
		{
			name: "announces no number of bytes", send: text(submitLine + "Content-Length: ten\r\n\r\n"),
			want: http.StatusBadRequest,
		},
		{
			name: "announces two numbers of bytes", want: http.StatusBadRequest,
			send: text(submitLine + "Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}"),
		},
		{
			name: "cuts its body off", send: half(submitLine + "Content-Length: 1000\r\n\r\n{"),
			want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
		},
		{
			name: "sends JSON that is none", send: submission(jsonType, `{"payload": 1`),
			want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
		},
		{
			name: "sends nothing", send: submission(jsonType, ""),
			want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
		},
		{
			name: "misspells a field", send: submission(jsonType, `{"payload": 1, "metadta": {}}`),
			want: http.StatusBadRequest, wantCode: "VALIDATION_ERROR",
		},
		{
			name: "sends a form", send: submission("Content-Type: application/x-www-form-urlencoded\r\n", "a=1"),
			want: http.StatusUnsupportedMediaType, wantCode: "UNSUPPORTED_MEDIA_TYPE",
		},
		{
			name: "compresses", send: submission(jsonType+"Content-Encoding: gzip\r\n", "\x1f\x8b"),
			want: http.StatusUnsupportedMediaType, wantCode: "UNSUPPORTED_MEDIA_TYPE",
		},
		{
			name: "wants the wrong thing", send: text("GET /api/v1/submit HTTP/1.1\r\nHost: gateway\r\n\r\n"),
			want: http.StatusMethodNotAllowed, wantCode: "METHOD_NOT_ALLOWED",
		},
	}
}

func manyMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"label-%d": ""`, i)
	}
	return strings.Join(members, ", ")
}

func TestClientsThatMisbehaveGetTheirAnswerAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		give   []abuse
		config string
	}{
		{name: "a client that is too slow", give: slowness(), config: "read_timeout: 1s"},
		// With time enough, so that a busy machine does not make a large request a slow one.
		{name: "a client that sends too much", give: excess(), config: fmt.Sprintf("max_body_size: %d", bodyLimit)},
		{name: "a client that makes no sense", give: nonsense(), config: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := testkit.NewPlainGateway(t, "server: {"+tt.config+"}\n").Start().Client()
			client.Submit(`{"payload": "waits all the time", "metadata": {"delay": "1h"}}`)
			before := client.Metrics()

			for _, abuse := range tt.give {
				t.Run(abuse.name, func(t *testing.T) { abuse.inflict(t, client.Address) })
			}

			requireNothingLeft(t, client, before)
			id := client.Submit(`{"payload": "well-behaved"}`).CorrelationID
			require.Equal(t, "COMPLETED", client.Result(id).Status)
		})
	}
}

// inflict does it from several connections at once.
func (a *abuse) inflict(t *testing.T, address string) {
	t.Helper()
	times := a.times
	if times == 0 {
		times = abuseTimes
	}
	var group sync.WaitGroup
	for range abuseAtOnce {
		group.Go(func() {
			for range times / abuseAtOnce {
				if err := a.once(t, address); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func (a *abuse) once(t *testing.T, address string) error {
	t.Helper()
	ctx, cancel := testkit.Patiently(t)
	defer cancel()
	got, err := exchange(ctx, t, address, a.send)
	if err != nil {
		return err
	}
	var problem testkit.Problem
	if a.wantCode != "" {
		if err := json.Unmarshal(got.body, &problem); err != nil {
			return fmt.Errorf("answered %d without a problem document: %.200s", got.code, got.body)
		}
	}
	if got.code != a.want || problem.Code != a.wantCode {
		return fmt.Errorf("answered %d %.200s in place of %d %s", got.code, got.body, a.want, a.wantCode)
	}
	return nil
}

// requireNothingLeft compares the process with how it was: no request more, no goroutines, no memory to speak of.
func requireNothingLeft(t *testing.T, client *testkit.Client, before testkit.Metrics) {
	t.Helper()
	const (
		goroutines = "go_goroutines"
		memory     = "process_resident_memory_bytes"
		accepted   = `openhqm_queue_publish_total{result="accepted"}`

		fewGoroutines = 10
		someMemory    = 120 << 20
	)
	testkit.Until(t, "no connection is being served any more", func() bool {
		return client.Metrics()[goroutines] <= before[goroutines]+fewGoroutines
	})
	after := client.Metrics()
	depth, _ := before.Depth()
	require.Equal(t, testkit.Depth{Delayed: 1}, depth)
	require.Equal(t, depth, client.Depth())
	require.InDelta(t, 1, after[accepted], 0)
	require.Positive(t, before[memory])
	require.Less(t, after[memory], before[memory]+someMemory)
	t.Logf("goroutines %v -> %v, memory %v -> %v MiB", before[goroutines], after[goroutines],
		int(before[memory])>>20, int(after[memory])>>20)
}

// A client that waits for a result may leave: with a reset, as when it dies, or by closing its connection. The latter
// looks like a client that has sent everything and goes on waiting, so it costs its own wait, but no more.
func TestClientsThatLeaveWhileTheyWaitAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		wait  string
		leave func(t *testing.T, conn *net.TCPConn)
		gone  string // the status that is counted
	}{
		"reset": {"55s", func(t *testing.T, conn *net.TCPConn) {
			t.Helper()
			require.NoError(t, conn.SetLinger(0))
		}, "499"},
		"closed": {"10s", func(*testing.T, *net.TCPConn) {}, "202"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const waiters = 100
			backend := testkit.NewBackend(t, testkit.Hold(make(chan struct{}), testkit.Echo()))
			client := testkit.NewGateway(t, testkit.OneBackend(backend.URL)).Start().Client()
			id := client.Submit(`{"payload": 1}`).CorrelationID
			backend.Await(1)
			before := client.Metrics()["go_goroutines"]

			conns := make([]*net.TCPConn, waiters)
			for i := range conns {
				conn, err := net.Dial("tcp", client.Address)
				require.NoError(t, err)
				_, err = fmt.Fprintf(conn, "GET /api/v1/response/%s?wait=%s HTTP/1.1\r\nHost: gateway\r\n\r\n", id, tt.wait)
				require.NoError(t, err)
				conns[i], _ = conn.(*net.TCPConn)
			}
			testkit.Until(t, "all of them wait, each with a goroutine that looks for its departure", func() bool {
				return client.Metrics()["go_goroutines"] >= before+2*waiters
			})
			for _, conn := range conns {
				tt.leave(t, conn)
				require.NoError(t, conn.Close())
			}
			counted := `openhqm_api_requests_total{code="` + tt.gone + `",method="GET",route="/api/v1/response/{id}"}`
			testkit.Until(t, "the gateway has noticed that they are gone", func() bool {
				metrics := client.Metrics()
				return metrics["go_goroutines"] < before+waiters/10 && metrics[counted] == waiters
			})
		})
	}
}
