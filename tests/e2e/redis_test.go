package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// The streams that other programs see.
const (
	requestStream    = "openhqm-requests"
	responseStream   = "openhqm-responses"
	resultStream     = "openhqm-results"
	deadLetterStream = "openhqm-dead-letters"
)

// onRedis makes an installation whose processes have one role, and share a Redis with those of other roles.
// Variables are stronger than that.
func onRedis(t *testing.T, server *testkit.Redis, role, config string, variables ...string) *testkit.Gateway {
	t.Helper()
	return testkit.NewGateway(t, config, append([]string{
		"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=" + server.URL(), "OPENHQM_ROLE=" + role,
	}, variables...)...)
}

// entry is an entry of a stream with the one field payload.
type entry struct{ id, payload string }

// entries returns what is in a stream, the oldest first. A payload must have no line ends.
func entries(t *testing.T, server *testkit.Redis, stream string) []entry {
	t.Helper()
	return parseEntries(t, server.Run("XRANGE", stream, "-", "+"))
}

// parseEntries reads a list of entries as redis-cli prints it.
func parseEntries(t *testing.T, text string) []entry {
	t.Helper()
	var all []entry
	for lines := strings.Split(text, "\n"); len(lines) >= 3; lines = lines[3:] {
		require.Equal(t, "payload", lines[1], text)
		all = append(all, entry{id: lines[0], payload: lines[2]})
	}
	return all
}

// awaitEntry waits for an entry that has a text, and returns the first.
func awaitEntry(t *testing.T, server *testkit.Redis, stream, text string) entry {
	t.Helper()
	var found entry
	testkit.Until(t, text+" is in "+stream, func() bool {
		for _, e := range entries(t, server, stream) {
			if strings.Contains(e.payload, text) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// publish writes what another program would: XADD with the one field payload.
func publish(t *testing.T, server *testkit.Redis, stream, payload string) (entryID string) {
	t.Helper()
	return server.Run("XADD", stream, "*", "payload", payload)
}

// decode reads a JSON document.
func decode[T any](t *testing.T, document string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(document), &value), document)
	return value
}

// components asks a process for its health, and returns the names of its components, which must be well.
func components(t *testing.T, client *testkit.Client) []string {
	t.Helper()
	answer := client.Get("/health")
	require.Equal(t, http.StatusOK, answer.Code, string(answer.Body))
	var names []string
	for name, c := range decode[struct {
		Components map[string]struct{ Status string }
	}](t, string(answer.Body)).Components {
		require.Equal(t, "ok", c.Status, name)
		names = append(names, name)
	}
	return names
}

// runAll runs cases at the same time, each with what share returns, and waits for their end.
func runAll[T any](t *testing.T, share func(*testing.T) T, cases map[string]func(T)) {
	t.Helper()
	t.Run("all", func(t *testing.T) {
		for name, test := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(share(t))
			})
		}
	})
}

// endWell asks processes to end, and checks that they do so well.
func endWell(t *testing.T, processes ...*testkit.Process) {
	t.Helper()
	for _, process := range processes {
		process.Signal(syscall.SIGTERM)
		require.True(t, process.Wait().Success())
	}
}
