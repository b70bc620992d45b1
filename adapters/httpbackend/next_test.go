package httpbackend_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

// connections notes which connections of a server there are.
type connections struct {
	mu    sync.Mutex
	cond  sync.Cond
	open  map[net.Conn]bool
	total int
}

func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open[conn] = true
		c.total++
	case http.StateClosed:
		delete(c.open, conn)
	default:
	}
	c.cond.Broadcast()
}

// awaitOpen blocks until so many are open, and returns how many there were in all.
func (c *connections) awaitOpen(n int) (total int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) != n {
		c.cond.Wait()
	}
	return c.total
}

// TestTheNextClientKeepsTheConnectionsOfUnchangedEndpoints has a call that runs from before the change to after it.
func TestTheNextClientKeepsTheConnectionsOfUnchangedEndpoints(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	conns := &connections{open: make(map[net.Conn]bool)}
	conns.cond.L = &conns.mu
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			close(held)
			<-release
		}
		_, _ = io.WriteString(w, r.Header.Get("X-A"))
	}))
	server.Config.ConnState = conns.note
	server.Start()
	t.Cleanup(server.Close)
	endpoint := httpbackend.Endpoint{URL: server.URL, Header: domain.Header{"X-A": {"old"}}}
	client := newClient(t, endpoint)
	call, slow := callOf(http.MethodGet, nil), callOf(http.MethodGet, nil)
	slow.Request.Path = "/held"
	ended := make(chan string, 1)
	go func() {
		response, err := client.Do(t.Context(), slow)
		if err != nil {
			ended <- err.Error()
			return
		}
		ended <- string(response.Body)
	}()
	<-held
	do(t, client, call)
	require.Equal(t, 2, conns.awaitOpen(2))

	endpoint.Name, endpoint.Header = endpointName, domain.Header{"X-A": {"new"}}
	kept, err := client.Next(options(endpoint), map[string]bool{endpointName: true})
	require.NoError(t, err)
	client.Retire(kept)
	require.Equal(t, "new", string(do(t, kept, call).Body))
	require.Equal(t, 2, conns.awaitOpen(2))
	require.Equal(t, "old", string(do(t, client, call).Body), "the client before is as it was")

	endpoint.URL += "/other"
	moved, err := kept.Next(options(endpoint), nil)
	require.NoError(t, err)
	kept.Retire(moved)
	require.Equal(t, 2, conns.awaitOpen(1), "only that of the call that runs is open")
	do(t, moved, call)
	require.Equal(t, 3, conns.awaitOpen(2))
	close(release)
	require.Equal(t, "old", <-ended)
	conns.awaitOpen(1)

	nothing := options(endpoint)
	nothing.Endpoints = nil
	none, err := moved.Next(nothing, nil)
	require.NoError(t, err)
	moved.Retire(none)
	require.Equal(t, 3, conns.awaitOpen(0))
	_, err = none.Do(t.Context(), call)
	require.ErrorContains(t, err, "not configured")
}

func TestANextClientThatCannotBeChangesNothing(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	client := newClient(t, httpbackend.Endpoint{URL: server.URL})
	spoilt := httpbackend.Endpoint{
		Name: endpointName, URL: server.URL, Auth: httpbackend.Auth{Kind: httpbackend.AuthBearer},
	}
	_, err := client.Next(options(spoilt), map[string]bool{endpointName: true})
	require.ErrorContains(t, err, endpointName)
	require.Equal(t, "ok", string(do(t, client, callOf(http.MethodGet, nil)).Body))
}
