package faults_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

const idleConnections = 10_000

func TestTenThousandIdleConnectionsLeaveRoomForWork(t *testing.T) {
	t.Parallel()
	const memory = 400 << 20 // bytes that may be resident
	requireDescriptors(t, idleConnections+1000)
	process := testkit.NewPlainGateway(t, "").Start()
	client := process.Client()
	before := client.Metrics()["go_goroutines"]

	connections := make([]net.Conn, idleConnections)
	defer closeAll(connections)
	crowd(t, idleConnections, 32, func(number int) (err error) {
		connections[number], err = openIdle(t, client.Address)
		return err
	})
	testkit.Until(t, "all are connected", func() bool {
		return client.Metrics()["go_goroutines"] >= before+idleConnections
	})
	requireCompleted(t, client, submitMany(t, client, 200, to("echo")))
	resident := process.PeakMemory()
	t.Logf("%d connections: %d MiB", idleConnections, resident>>20)
	require.Less(t, resident, int64(memory))

	closeAll(connections)
	testkit.Until(t, "their goroutines are gone", func() bool {
		return client.Metrics()["go_goroutines"] < before+100
	})
}

// requireDescriptors skips the test where two processes cannot have so many connections each. Go itself raises the soft
// limit of both to the hard one.
func requireDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if limit.Max < n {
		t.Skipf("a process may open %d files here, and %d are needed", limit.Max, n)
	}
}

// openIdle opens a connection on which nothing more will come after a first request. Without one it would be closed
// after ten seconds, and it may take longer to open all of them.
func openIdle(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	dialer := net.Dialer{Timeout: testkit.Patience}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return conn, err
	}
	if _, err := fmt.Fprint(conn, "GET /health/live HTTP/1.1\r\nHost: gateway\r\n\r\n"); err != nil {
		return conn, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return conn, err
	}
	return conn, response.Body.Close()
}

func closeAll(connections []net.Conn) {
	for _, conn := range connections {
		if conn != nil {
			_ = conn.Close() // it may be closed
		}
	}
}
