package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestABackendThatClosesItsConnectionsOftenChargesNobody has a real nginx that ends each HTTP/2 connection after a few
// requests, as it does after 1,000 by default: what it turned away unread is nobody's attempt.
func TestABackendThatClosesItsConnectionsOftenChargesNobody(t *testing.T) {
	t.Parallel()
	const requests = 300
	certificate, key := testkit.SelfSigned(t)
	for _, limit := range []int{100, 10} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			nginx := testkit.StartSecureNginx(t, certificate, key, fmt.Sprintf(
				`keepalive_requests %d; location = /work { default_type text/plain; return 200 done; }`, limit))
			client := testkit.NewGateway(t, fmt.Sprintf(`
proxy:
  default_endpoint: nginx
  endpoints: {nginx: {url: %q, tls: {ca_file: %q}, breaker: {ratio: 0}}}
`, nginx.URL, certificate)).Start().Client()
			var submits sync.WaitGroup
			ids := make([]string, requests)
			for i := range ids {
				submits.Go(func() {
					receipt, err := client.TrySubmit(t.Context(),
						`{"payload": 1, "metadata": {"path": "/work", "max_attempts": 1}}`, nil)
					if err == nil {
						ids[i] = receipt.CorrelationID
					}
				})
			}
			submits.Wait()
			for _, id := range ids {
				require.NotEmpty(t, id)
				result := client.Result(id)
				require.Equal(t, "COMPLETED", result.Status, result.Error)
				require.Equal(t, 1, result.Attempts)
			}
			testkit.Until(t, "nginx has noted all calls", func() bool { return nginx.Calls() >= requests })
			require.Equal(t, requests, nginx.Calls(), "each was processed once")
		})
	}
}

// TestBytesThatNobodyAskedForAreNotLogged has a backend whose 204 has a body, against RFC 9110 section 15.3.5: net/http
// would print it.
func TestBytesThatNobodyAskedForAreNotLogged(t *testing.T) {
	t.Parallel()
	const secret = `{"card":"4111111111111111"}`
	backend := answerRaw(t, fmt.Sprintf("HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n%s", len(secret), secret))
	process := testkit.NewGateway(t, testkit.OneBackend(backend)).Start()
	client := process.Client()
	for range 20 {
		result := client.Result(client.Submit(`{"payload": 1}`).CorrelationID)
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, http.StatusNoContent, result.StatusCode)
		require.Equal(t, `""`, string(result.Result))
	}
	require.NotContains(t, process.Log.Text(), "4111")
}

// answerRaw starts a server that answers every request with the same bytes on connections that stay open.
func answerRaw(t *testing.T, answer string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			talks.Go(func() { talkRaw(conn, answer) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		talks.Wait()
	})
	return "http://" + listener.Addr().String()
}

// talkRaw answers each time it has read the end of a small request.
func talkRaw(conn net.Conn, answer string) {
	defer conn.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if strings.HasSuffix(string(buf[:n]), "\r\n\r\n1") {
			if _, err := conn.Write([]byte(answer)); err != nil {
				return
			}
		}
	}
}
