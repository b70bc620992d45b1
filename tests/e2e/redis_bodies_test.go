package e2e_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

const (
	largeBody = 1 << 20
	// smallKey is more than Redis needs for any key that holds no body, and far less than a body (256 KiB is the most
	// that may lie in a queue).
	smallKey = 32 << 10
)

// storage is what an installation keeps in Redis.
type storage struct {
	t      *testing.T
	server *testkit.Redis
	api    *testkit.Client
	body   []byte // what is uploaded
}

// upload sends the body through the proxy path, and returns the id.
func (s storage) upload(path string, header http.Header) string {
	s.t.Helper()
	answer, err := s.api.Call(s.t.Context(), http.MethodPut, "/proxy/backend"+path, header, s.body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusAccepted, answer.Code, "%s", answer.Body)
	return answer.Header.Get("X-Correlation-Id")
}

// keys lists all keys, or those of one type.
func (s storage) keys(ofType string) []string {
	s.t.Helper()
	var keys []string
	for key := range strings.FieldsSeq(s.server.Run("KEYS", "*")) {
		if ofType == "" || s.server.Run("TYPE", key) == ofType {
			keys = append(keys, key)
		}
	}
	return keys
}

// large lists the keys that hold a body.
func (s storage) large() []string {
	s.t.Helper()
	var large []string
	for _, key := range s.keys("") {
		if s.bytes(key) > smallKey {
			large = append(large, key)
		}
	}
	return large
}

// bytes is how much memory a key uses, every element counted; 0 if the key is gone.
func (s storage) bytes(key string) int {
	s.t.Helper()
	text := s.server.Run("MEMORY", "USAGE", key, "SAMPLES", "0")
	if text == "" {
		return 0
	}
	size, err := strconv.Atoi(text)
	require.NoError(s.t, err)
	return size
}

// requireThinStreams looks at every entry of every stream: they are those of the requests, and name these alone.
func (s storage) requireThinStreams(ids ...string) {
	s.t.Helper()
	var found []string
	for _, stream := range s.keys("stream") {
		require.Less(s.t, s.bytes(stream), smallKey, stream)
		text := s.server.Run("XRANGE", stream, "-", "+")
		if text == "" {
			continue
		}
		const perEntry = 5 // the id of the entry, and two fields with their values
		for entry := range slices.Chunk(strings.Split(text, "\n"), perEntry) {
			require.Len(s.t, entry, perEntry, text)
			require.Equal(s.t, []string{"id", "size"}, []string{entry[1], entry[3]}, stream)
			size, err := strconv.Atoi(entry[4])
			require.NoError(s.t, err)
			require.GreaterOrEqual(s.t, size, len(s.body))
			found = append(found, entry[2])
		}
	}
	require.ElementsMatch(s.t, ids, found)
}

func TestRedisKeepsBodiesBesideTheQueueForAsLongAsTheyAreNeeded(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		if call.Target == "/fails" {
			testkit.Refuse(http.StatusServiceUnavailable)(w, r, call)
			return
		}
		testkit.Respond(http.StatusCreated, "text/plain", "thanks")(w, r, call)
	})
	config := testkit.OneBackend(backend.URL) + "retry: {max_attempts: 1}\n"
	server := testkit.StartRedis(t)
	api := onRedis(t, server, "api", config).Start()
	s := storage{t: t, server: server, api: api.Client(), body: make([]byte, largeBody)}
	_, _ = rand.NewChaCha8([32]byte{13}).Read(s.body) // it never fails

	// While nobody works, each body is kept once, and its place in the queue is small.
	done, urgent := s.upload("/done", nil), s.upload("/urgent", http.Header{"X-Openhqm-Priority": {"9"}})
	failing := s.upload("/fails", nil)
	delayed := s.upload("/later", http.Header{"X-Openhqm-Delay": {"1h"}})
	cancelled := s.upload("/cancelled", nil)
	s.requireThinStreams(done, urgent, failing, cancelled)
	require.Len(t, s.large(), 5)
	for _, key := range s.large() {
		require.Equal(t, "hash", server.Run("TYPE", key), key)
		require.Equal(t, "-1", server.Run("PTTL", key), "what is unfinished has no lifetime: %s", key)
		require.Less(t, s.bytes(key), 2*len(s.body), "the body is there once: %s", key)
	}

	require.Equal(t, http.StatusOK, cancel(t, s.api, cancelled).Code)
	s.requireThinStreams(done, urgent, failing)
	require.Len(t, s.large(), 4, "what is cancelled is freed")

	worker := onRedis(t, server, "worker", config).Start()
	for _, id := range []string{done, urgent} {
		require.Equal(t, "COMPLETED", s.api.Result(id).Status)
	}
	require.Equal(t, "FAILED", s.api.Result(failing).Status)
	for _, id := range []string{done, urgent, failing} {
		calls := backend.CallsOf(id)
		require.Len(t, calls, 1)
		require.True(t, bytes.Equal(s.body, calls[0].Body))
	}
	s.requireThinStreams()
	require.Len(t, s.large(), 2, "that of the dead letter and the delayed one, and nothing more of what is final")

	call(t, s.api, http.MethodDelete, "/"+failing, "", http.StatusNoContent, nil)
	require.Len(t, s.large(), 1, "a dead letter that is deleted is freed")
	require.Equal(t, http.StatusOK, cancel(t, s.api, delayed).Code)
	require.Empty(t, s.large())
	endWell(t, api, worker)
}
