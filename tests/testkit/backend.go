package testkit

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Backend is a service that the gateway calls. It remembers every whole request that reached it, and answers with its
// Reply. It is safe for concurrent use.
type Backend struct {
	URL string

	tb    testing.TB
	reply Reply
	seen  watched[seen]
	moves *atomic.Int64
}

// seen is what has reached a backend.
type seen struct {
	calls []*Call
	times map[string]int // calls by ID
}

// Call is one request that reached a backend. It does not change.
type Call struct {
	ID      string // X-OpenHQM-ID
	Attempt int    // X-OpenHQM-Attempt; 0 if it is no number
	Nth     int    // of the calls with this ID, from 1
	Method  string
	Target  string // path and query, as sent
	Host    string
	Header  http.Header
	Body    []byte
	At      time.Time // when it had arrived
}

// NewBackend starts a backend that answers all calls with reply. It ends with the test.
func NewBackend(tb testing.TB, reply Reply) *Backend {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	return NewBackendAt(tb, listener, reply)
}

// NewBackendAt starts a backend that listens at an address.
func NewBackendAt(tb testing.TB, listener net.Listener, reply Reply) *Backend {
	tb.Helper()
	b := &Backend{tb: tb, reply: reply, moves: Moves(tb)}
	b.seen.value.times = make(map[string]int)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: b, ReadHeaderTimeout: Patience}}
	server.Start()
	b.URL = server.URL
	tb.Cleanup(func() {
		server.CloseClientConnections() // frees calls that are held
		server.Close()
	})
	return b
}

// ServeHTTP records the call and answers it.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller died before it had sent everything: nobody acts on such a request
	}
	attempt, _ := strconv.Atoi(r.Header.Get("X-Openhqm-Attempt"))
	call := &Call{
		ID: r.Header.Get("X-Openhqm-Id"), Attempt: attempt,
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header.Clone(), Body: body, At: time.Now(),
	}
	b.seen.change(func(s *seen) {
		s.times[call.ID]++
		call.Nth = s.times[call.ID]
		s.calls = append(s.calls, call)
	})
	b.moves.Add(1)
	b.reply(w, r, call)
}

// Calls returns all calls so far, in the order of arrival.
func (b *Backend) Calls() []*Call {
	var all []*Call
	b.seen.read(func(s seen) { all = slices.Clone(s.calls) })
	return all
}

// CallsOf returns the calls of one request so far.
func (b *Backend) CallsOf(id string) []*Call {
	return slices.DeleteFunc(b.Calls(), func(c *Call) bool { return c.ID != id })
}

// Await waits until there have been n calls in all, and returns them.
func (b *Backend) Await(n int) []*Call {
	b.tb.Helper()
	ctx, cancel := Patiently(b.tb)
	defer cancel()
	err := b.seen.await(ctx, func(s seen) bool { return len(s.calls) >= n })
	require.NoErrorf(b.tb, err, "wait for call %d of the backend", n)
	return b.Calls()
}
