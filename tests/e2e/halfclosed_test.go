package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestAClientThatClosesItsSendingHalfGetsItsAnswer has clients such as nc -N, which say that they have sent everything.
func TestAClientThatClosesItsSendingHalfGetsItsAnswer(t *testing.T) {
	t.Parallel()
	const requests = 200
	release := make(chan struct{})
	held := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	process := testkit.NewGateway(t, testkit.OneBackend(held.URL)).Start()
	client := process.Client()
	ask := func(head, body string) *testkit.Answer { return askHalfClosed(t, client.Address, head, body) }

	var ids []string
	for range requests {
		for _, head := range []string{"POST /api/v1/submit HTTP/1.1", "PUT /proxy/backend/x HTTP/1.1"} {
			answer := ask(head, `{"payload": 1}`)
			var receipt testkit.Receipt
			require.NoError(t, json.Unmarshal(answer.Body, &receipt))
			require.Equal(t, http.StatusAccepted, answer.Code, head)
			require.NotEmpty(t, receipt.CorrelationID)
			ids = append(ids, receipt.CorrelationID)
		}
	}
	require.Equal(t, http.StatusOK, ask("GET /metrics HTTP/1.1", "").Code)
	last := ids[len(ids)-1]
	require.Equal(t, http.StatusOK, ask("DELETE /api/v1/status/"+last+" HTTP/1.1", "").Code)
	require.Equal(t, http.StatusAccepted, ask("POST /api/v1/submit HTTP/1.1\r\nPrefer: wait=1", `{"payload": 1}`).Code)

	close(release)
	for _, id := range ids[:len(ids)-1] {
		require.Equal(t, "COMPLETED", client.Result(id).Status)
	}
	require.Equal(t, http.StatusOK, ask("GET /api/v1/response/"+ids[0]+"?wait=30s HTTP/1.1", "").Code)
	waited := ask("POST /api/v1/submit HTTP/1.1\r\nPrefer: wait=30", `{"payload": 1}`)
	require.Equal(t, http.StatusOK, waited.Code, string(waited.Body))
	waited = ask("PUT /proxy/backend/x HTTP/1.1\r\nPrefer: wait=30", "bytes")
	require.Equal(t, "bytes", string(waited.Body))
}

// askHalfClosed makes a request on a connection whose sending half is closed at once.
func askHalfClosed(t *testing.T, address, head, body string) *testkit.Answer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%s\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
	require.NoError(t, err)
	half, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, half.CloseWrite())
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return &testkit.Answer{Code: response.StatusCode, Header: response.Header, Body: content}
}
