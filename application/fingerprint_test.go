package application_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// fingerprintOf is what distinguishes submissions under the same idempotency key.
func fingerprintOf(t *testing.T, s ports.Submission) [32]byte {
	t.Helper()
	opts := submitOptions()
	opts.Endpoints = configure(ports.EndpointSet{
		ByName:  map[string]domain.Endpoint{"a": {Name: "a"}, "aa": {Name: "aa"}, "b": {Name: "b"}},
		Default: "a",
	})
	s.IdempotencyKey = "key"
	request := accept(t, opts, s)
	require.NotNil(t, request.Idempotency)
	return request.Idempotency.Fingerprint
}

func parted() ports.Submission {
	return ports.Submission{Endpoint: "a", Method: "PUT", Path: "/p", Query: "q=1", Body: []byte("body")}
}

func TestFingerprintIsTheSameForTheSameRequest(t *testing.T) {
	t.Parallel()
	want := fingerprintOf(t, parted())
	tests := []struct {
		name string
		give func(*ports.Submission)
	}{
		{"again", func(*ports.Submission) {}},
		{"by the default endpoint", func(s *ports.Submission) { s.Endpoint = "" }},
		{"with other headers", func(s *ports.Submission) { s.Header = domain.Header{"Traceparent": {"00-1"}} }},
		{"with other times", func(s *ports.Submission) { s.Timeout, s.Delay = time.Hour, time.Minute }},
		{"with other metadata", func(s *ports.Submission) {
			s.Priority, s.MaxAttempts, s.Labels = 9, 3, map[string]string{"team": "red"}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := parted()
			tt.give(&s)
			require.Equal(t, want, fingerprintOf(t, s))
		})
	}
}

func TestFingerprintDiffersInEachPart(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*ports.Submission){
		"nothing":          func(*ports.Submission) {},
		"method":           func(s *ports.Submission) { s.Method = "POST" },
		"case of method":   func(s *ports.Submission) { s.Method = "put" },
		"endpoint":         func(s *ports.Submission) { s.Endpoint = "b" },
		"path":             func(s *ports.Submission) { s.Path = "/P" },
		"no path":          func(s *ports.Submission) { s.Path = "" },
		"spelling of path": func(s *ports.Submission) { s.Path = "/%70" },
		"query":            func(s *ports.Submission) { s.Query = "q=2" },
		"no query":         func(s *ports.Submission) { s.Query = "" },
		"body":             func(s *ports.Submission) { s.Body = []byte("Body") },
		"longer body":      func(s *ports.Submission) { s.Body = []byte("body ") },
		"an empty body":    func(s *ports.Submission) { s.Body = []byte{} },
	}
	seen := make(map[[32]byte]string, len(changes))
	for name, change := range changes {
		s := parted()
		change(&s)
		got := fingerprintOf(t, s)
		require.NotContains(t, seen, got, "%s is taken for %s", name, seen[got])
		seen[got] = name
	}
}

// TestFingerprintIsNotJustTheBytes uses requests whose parts, one after the other, are the same bytes.
func TestFingerprintIsNotJustTheBytes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		one, more ports.Submission
	}{
		{"method and endpoint", ports.Submission{Method: "X", Endpoint: "aa"}, ports.Submission{Method: "Xa", Endpoint: "a"}},
		{"path and query", ports.Submission{Path: "/p", Query: "q"}, ports.Submission{Path: "/pq"}},
		{"nothing and query", ports.Submission{Query: "/p"}, ports.Submission{Path: "/p"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.one.Body, tt.more.Body = []byte("body"), []byte("body")
			require.NotEqual(t, fingerprintOf(t, tt.one), fingerprintOf(t, tt.more))
		})
	}
}

func TestFingerprintOnlyWithAKey(t *testing.T) {
	t.Parallel()
	require.Nil(t, accept(t, submitOptions(), valid()).Idempotency)
}
