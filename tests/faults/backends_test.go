package faults_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// brokenBackend is a backend that does something wrong, below HTTP.
type brokenBackend struct {
	name   string
	answer func(net.Conn) // after which the connection is closed
	reset  bool           // not in an orderly way
}

const okLine = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

func brokenBackends() []brokenBackend {
	piece := strings.Repeat("x", 16<<10)
	return []brokenBackend{
		{name: "trickles without end", answer: trickle(okLine+chunked+"\r\n", "1\r\nx\r\n")},
		{name: "trickles its header without end", answer: trickle("HTTP/1.1 200 OK\r\n", "X-More: 1\r\n")},
		{name: "sends interim responses without end", answer: trickle("", "HTTP/1.1 102 Processing\r\n\r\n")},
		{name: "pours without end", answer: endless(okLine+chunked+"\r\n", "4000\r\n"+piece+"\r\n")},
		{name: "never closes a body without length", answer: trickle(okLine+"\r\n", "x")},
		{name: "announces more than it sends", answer: text(okLine + "Content-Length: 100\r\n\r\ncut off")},
		{name: "announces two lengths", answer: text(okLine + "Content-Length: 3\r\nContent-Length: 7\r\n\r\ncut off")},
		{name: "announces no number", answer: text(okLine + "Content-Length: -7\r\n\r\ncut off")},
		{name: "announces more than anybody has", answer: text(okLine + "Content-Length: 9000000000000000000\r\n\r\nx")},
		{name: "ends in a chunk", answer: text(okLine + chunked + "\r\n64\r\ncut off")},
		{name: "ends between chunks", answer: text(okLine + chunked + "\r\n7\r\ncut off\r\n")},
		{name: "sends a huge header", answer: text("%s%s\r\n", okLine, strings.Repeat("X-More: "+piece+"\r\n", 64))},
		{name: "sends a huge header field", answer: text("%sX-More: %s\r\n\r\n", okLine, strings.Repeat(piece, 64))},
		{name: "resets at once", answer: text(""), reset: true},
		{name: "resets in its header", answer: text(okLine), reset: true},
		{name: "resets in its body", answer: text(okLine + "Content-Length: 100\r\n\r\ncut off"), reset: true},
		{name: "does not speak HTTP", answer: text("HELO gateway\r\n\r\n")},
	}
}

// trickle sends a beginning, and then so little at a time that the connection never looks dead.
func trickle(beginning, piece string) func(net.Conn) {
	return func(conn net.Conn) {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for _, err := conn.Write([]byte(beginning)); err == nil; _, err = conn.Write([]byte(piece)) {
			<-ticker.C
		}
	}
}

// ServeHTTP takes the connection away from net/http, which would not let anybody do such things.
func (b brokenBackend) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ *testkit.Call) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the gateway gets a whole answer, which the test finds
	}
	defer conn.Close()
	b.answer(conn)
	if tcp, ok := conn.(*net.TCPConn); ok && b.reset {
		_ = tcp.SetLinger(0) // so that closing resets
	}
}

// A response that did not arrive whole is none. All of these end within the timeout of the endpoint, or the test does
// not: without it a call may take five minutes.
func TestABrokenResponseIsNeverASuccessAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	const attempts = 2
	good := testkit.NewBackend(t, testkit.Echo())
	broken := brokenBackends()
	backends := make([]*testkit.Backend, len(broken))
	var config strings.Builder
	fmt.Fprintf(&config, "retry: {max_attempts: %d, base: 10ms}\nproxy:\n  endpoints:\n", attempts)
	fmt.Fprintf(&config, "    good: {url: %q}\n", good.URL)
	for i := range broken {
		backends[i] = testkit.NewBackend(t, broken[i].ServeHTTP)
		fmt.Fprintf(&config, "    broken-%d: {url: %q, timeout: 1s, breaker: {ratio: 0}}\n", i, backends[i].URL)
	}
	client := testkit.NewGateway(t, config.String()).Start().Client()

	ids := make([]string, len(broken))
	for i := range broken {
		ids[i] = client.Submit(to(fmt.Sprintf("broken-%d", i))(i)).CorrelationID
		backends[i].Await(1)
	}
	requireCompleted(t, client, submitMany(t, client, 200, to("good")))

	for i, id := range ids {
		t.Run(broken[i].name, func(t *testing.T) {
			t.Parallel()
			result := client.Result(id)
			require.Equalf(t, "FAILED", result.Status, "%.500s", result.Document)
			require.NotEmpty(t, result.Error)
			require.Empty(t, result.Result)
			require.Zero(t, result.StatusCode)
			require.Len(t, backends[i].CallsOf(id), result.Attempts)
			t.Logf("%d attempts: %s", result.Attempts, result.Error)
		})
	}
}
