package faults_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestMemoryIsBoundedWhileManyReadALargeResultSlowly(t *testing.T) {
	t.Parallel()
	const (
		readers = 300
		size    = 9 << 20 // bytes; without a bound the readers would take 2.7 GB
	)
	body := []byte(`"` + string(bytes.Repeat([]byte("0123456789abcdef"), size/16)) + `"`)
	backend := testkit.NewBackend(t, testkit.Respond(http.StatusOK, "application/json", string(body)))
	process := testkit.NewPlainGateway(t, testkit.OneBackend(backend.URL)).Start()
	client := process.Client()
	id := client.Submit(`{"payload": 1}`).CorrelationID
	requireLargeResult(t, client, id, body)

	var served, refused atomic.Int64
	conns := make([]net.Conn, readers)
	crowd(t, readers, readers, func(number int) error {
		conn, code, err := beginReading(t, client.Address, id)
		conns[number] = conn
		switch code {
		case http.StatusOK:
			served.Add(1)
		case http.StatusServiceUnavailable:
			refused.Add(1)
		default:
			return fmt.Errorf("answered %d: %w", code, err)
		}
		return err
	})
	t.Logf("%d read slowly, %d were asked to come again", served.Load(), refused.Load())
	peak := process.PeakMemory()
	t.Logf("at most %d MiB were resident", peak>>20)
	require.Less(t, peak, int64(memoryBound))
	require.Positive(t, served.Load())
	require.Positive(t, refused.Load())

	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
	requireLargeResult(t, client, id, body)
}

// beginReading asks for a result and reads nothing of the answer but its header. The kernel may buffer little.
func beginReading(t *testing.T, address, id string) (conn net.Conn, code int, err error) {
	t.Helper()
	conn, err = (&net.Dialer{Timeout: testkit.Patience}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, 0, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetReadBuffer(4 << 10)
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Now().Add(testkit.Patience))
	}
	if err != nil {
		return conn, 0, err
	}
	text("GET /api/v1/response/%s HTTP/1.1\r\nHost: gateway\r\n\r\n", id)(conn)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // that would read it to its end
	if err != nil {
		return conn, 0, fmt.Errorf("read the answer: %w", err)
	}
	return conn, response.StatusCode, nil
}

// requireLargeResult reads the whole result, as soon as there is room for it.
func requireLargeResult(t *testing.T, client *testkit.Client, id string, body []byte) {
	t.Helper()
	testkit.Until(t, "the result is there", func() bool {
		answer, err := client.Response(t.Context(), id, "30s")
		require.NoError(t, err)
		if answer.Code == http.StatusServiceUnavailable {
			return false
		}
		require.Equal(t, http.StatusOK, answer.Code)
		// Not by Contains, which would print them.
		require.True(t, bytes.Contains(answer.Body, body), "the result is another")
		return true
	})
}
