package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// recordRaw starts a server that answers every connection's first request with the same bytes, and hands out the lines
// of that request's head as they came.
func recordRaw(t *testing.T, answer string) (url string, heads <-chan []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	seen := make(chan []string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var head []string
			for reader := bufio.NewReader(conn); ; {
				line, err := reader.ReadString('\n')
				if line = strings.TrimSpace(line); err != nil || line == "" {
					break
				}
				head = append(head, line)
			}
			seen <- head
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String(), seen
}

// TestWhatIsForwardedAndReplayedIsExact looks at bytes that HTTP libraries hide.
func TestWhatIsForwardedAndReplayedIsExact(t *testing.T) {
	t.Parallel()
	url, heads := recordRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nStrict-Transport-Security: max-age=1\r\n"+
		"Access-Control-Allow-Origin: *\r\nX-Kept: 1\r\n\r\ndone")
	client := testkit.NewGateway(t, fmt.Sprintf(`
proxy:
  default_endpoint: soap
  endpoints:
    soap: {url: %q, headers: {SOAPAction: op}, auth: {type: custom, header: X-MBX-APIKEY, token: t}}
`, url)).Start().Client()

	answer := askHalfClosed(t, client.Address,
		"GET /proxy/soap/a? HTTP/1.1\r\nX.OpenHQM.Id: forged\r\nSoapaction: forged\r\nX_MBX.APIKEY: forged", "")
	require.Equal(t, http.StatusAccepted, answer.Code)
	head := <-heads
	require.Equal(t, "GET /a? HTTP/1.1", head[0])
	require.Contains(t, head, "SOAPAction: op")
	require.Contains(t, head, "X-MBX-APIKEY: t")
	require.NotContains(t, strings.Join(head, "\n"), "forged")

	id := answer.Header.Get("X-Correlation-Id")
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	raw := client.Get("/api/v1/response/" + id + "/raw")
	require.Equal(t, "done", string(raw.Body))
	require.Equal(t, "1", raw.Header.Get("X-Kept"))
	require.Empty(t, raw.Header.Values("Strict-Transport-Security"))
	require.Empty(t, raw.Header.Values("Access-Control-Allow-Origin"))

	submitted := client.Post(`{"payload": 1, "headers": {"X-OpenHQM-Id": "forged", "X-OpenHQM-Any": "forged"}}`,
		http.Header{"Content-Type": {"application/json; charset=utf-8; charset=UTF-8"}})
	require.Equal(t, http.StatusAccepted, submitted.Code)
	require.NotContains(t, strings.Join(<-heads, "\n"), "forged")
	require.Equal(t, http.StatusBadRequest, client.Get("/proxy/soap/..%00/").Code)
	require.Equal(t, http.StatusBadRequest, client.Post(`{"payload": 1, "metadata": {"path": "/x\ud83d"}}`, nil).Code)
}
