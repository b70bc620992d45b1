package faults_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

const linesLost = "openhqm_log_lines_lost_total"

func TestALogWhoseReaderIsGoneEndsNothing(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	process, stderr := gateway.StartUnread()
	require.NoError(t, stderr.Close())
	client := process.Client()

	requireCompleted(t, client, submitMany(t, client, 20, to("echo")))
	testkit.Until(t, "lost lines are counted", func() bool { return client.Metrics()[linesLost] > 0 })
	requireDegraded(t, client, `"log":{"status":"degraded","error":"the log cannot be written: `)

	process.Signal(syscall.SIGTERM)
	require.Zero(t, process.Wait().ExitCode())
}

func TestALogThatNobodyReadsStopsNeitherWorkNorTheEnd(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	process, _ := gateway.StartUnread()
	client := process.Client()

	requireCompleted(t, client, submitMany(t, client, 2000, to("echo")))
	requireDegraded(t, client, `"log":{"status":"degraded","error":"nobody reads the log: `)

	process.Signal(syscall.SIGTERM)
	require.Zero(t, process.Wait().ExitCode())
}

func TestALogThatIsReadAgainHasItsLines(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	process, stderr := gateway.StartUnread()
	client := process.Client()
	ids := submitMany(t, client, 1000, to("echo"))
	requireCompleted(t, client, ids)

	process.Signal(syscall.SIGTERM)
	_, err := io.Copy(process.Log, stderr)
	require.NoError(t, err)
	require.Zero(t, process.Wait().ExitCode())
	text := process.Log.Text()
	for _, id := range ids {
		require.True(t, strings.Contains(text, id), "the line of "+id) //nolint:testifylint // it would print the log
	}
	require.True(t, strings.HasSuffix(text, `"msg":"shut down"}`))
}

// requireDegraded waits until health has this text. Work goes on, so the gateway is ready.
func requireDegraded(t *testing.T, client *testkit.Client, text string) {
	t.Helper()
	testkit.Until(t, "health has "+text, func() bool {
		answer := client.Get("/health/ready")
		require.Equal(t, http.StatusOK, answer.Code)
		body := string(answer.Body)
		return strings.HasPrefix(body, `{"status":"degraded"`) && strings.Contains(body, text)
	})
}
