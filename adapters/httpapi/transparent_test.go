package httpapi

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// sidecar makes a server with an address that looks like the endpoint "orders".
func sidecar(o *Options) { o.Transparent = Transparent{Address: "127.0.0.1:0", Endpoint: "orders"} }

// transparent is the same server behind that address.
func (r *rig) transparent() *rig {
	r.t.Helper()
	return r.behind(r.server.TransparentAddr())
}

func TestTransparentAddressIsTheEndpoint(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f, sidecar).transparent()
	for _, tt := range []struct {
		method, give string
		path, query  string
	}{
		{"GET", "/", "/", ""},
		{"PROPFIND", "/a%2Fb//c;d?e=1&e=2", "/a%2Fb//c;d", "e=1&e=2"},
		{"GET", "//else/x", "//else/x", ""},
		{"GET", "http://else?a", "", "a"},
		{"GET", "/health", "/health", ""},
		{"GET", "/metrics", "/metrics", ""},
		{"GET", "/openapi.yaml", "/openapi.yaml", ""},
		{"POST", "/api/v1/submit", "/api/v1/submit", ""},
		{"GET", "/api/v1/dead-letters", "/api/v1/dead-letters", ""},
		{"GET", "/proxy/other/x", "/proxy/other/x", ""},
	} {
		reply := r.exchange(rawRequest(tt.method + " " + tt.give))
		require.Contains(t, reply, "HTTP/1.1 202 Accepted", tt.give)
		origin := fromHere("gateway")
		if strings.HasPrefix(tt.give, "http://else") {
			origin.Host = "else"
		}
		require.Equal(t, ports.Submission{
			Caller: everybody, Origin: origin, Endpoint: "orders",
			Method: tt.method, Path: tt.path, Query: tt.query, Bodiless: true,
			Header: domain.Header{"Connection": {"close"}},
		}, <-given)
		require.Equal(t, observed{knownMethod(tt.method), "/proxy/{endpoint}", 202}, <-r.observed)
	}
	for _, target := range []string{"OPTIONS *", "CONNECT else:443"} {
		require.Contains(t, r.exchange(rawRequest(target)), "HTTP/1.1 400 ", target)
	}
	require.Empty(t, given)
}

func TestTransparentLocationIsOnTheMainAddress(t *testing.T) {
	t.Parallel()
	f, _ := accepting()
	f.submit = func(context.Context, ports.Submission) (ports.Receipt, error) { return ports.Receipt{ID: testID}, nil }
	r := start(t, f, sidecar)
	_, port, err := net.SplitHostPort(r.server.Addr().String())
	require.NoError(t, err)
	for give, want := range map[string]string{
		"Host: gateway.example:81": "http://gateway.example:" + port + statusURL,
		"Host: gateway.example":    "http://gateway.example:" + port + statusURL,
		"Host: [::1]:81":           "http://[::1]:" + port + statusURL,
		"Host: [::1]":              "http://[::1]:" + port + statusURL,
		"Host:":                    "http://127.0.0.1:" + port + statusURL,
	} {
		reply := r.transparent().exchange("GET / HTTP/1.1\r\nConnection: close\r\n" + give + "\r\n\r\n")
		require.Contains(t, reply, "\r\nLocation: "+want+"\r\n", give)
	}
	a := r.do("GET", "/proxy/orders", "")
	require.Equal(t, statusURL, a.Header.Get("Location"))

	r = start(t, f, sidecar, func(o *Options) { o.PublicURL = "https://hqm.example/base" })
	a = r.transparent().do("GET", "/", "")
	require.Equal(t, "https://hqm.example/base"+statusURL, a.Header.Get("Location"))
}

func TestTransparentAddressAsksForTheSameKey(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, keyed, sidecar, limited).transparent()
	requireProblem(t, r.do("GET", "/", ""), http.StatusUnauthorized, "UNAUTHORIZED")
	requireProblem(t, r.do("GET", "/", "", "X-OpenHQM-Key", "x"), http.StatusUnauthorized, "UNAUTHORIZED")
	requireProblem(t, r.do("GET", "/", "", "X-OpenHQM-Key", "limited"), http.StatusForbidden, "FORBIDDEN")
	require.Equal(t, http.StatusAccepted, r.do("GET", "/", "", "X-OpenHQM-Key", "shop").StatusCode)
	a := r.do("GET", "/", "", "X-OpenHQM-Key", "shop")
	requireProblem(t, a, http.StatusTooManyRequests, "RATE_LIMITED")
	a = r.do("POST", "/", "x", "Content-Length", "1", "X-OpenHQM-Key", "ops", "Origin", "https://evil.example")
	require.Equal(t, http.StatusAccepted, a.StatusCode, "a page that has a key")
}

func TestTransparentAddressAnswersAsTheBackendDid(t *testing.T) {
	t.Parallel()
	record := kept(200, "<html>", domain.Header{
		"Content-Type": {"text/html"}, "Strict-Transport-Security": {"max-age=1"}, "Access-Control-Allow-Origin": {"*"},
	})
	r := start(t, ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) {
		return record, nil
	}), sidecar)
	a := r.transparent().do("GET", "/page", "", "Prefer", "wait=5")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "<html>", a.body)
	requireReplay(t, a, http.Header{
		"Content-Type": {"text/html"}, "Content-Length": {"6"}, "Vary": {"Prefer"}, "Preference-Applied": {"wait=5"},
		"Strict-Transport-Security": {"max-age=1"}, "Access-Control-Allow-Origin": {"*"},
		"Content-Security-Policy": nil, "X-Content-Type-Options": nil,
	})
}

func TestTransparentAddressIsClosedWithTheMainAddress(t *testing.T) {
	t.Parallel()
	opts, _, _ := testOptions(&fakes{})
	sidecar(&opts)
	opts.AdminAddress = "127.0.0.1:0"
	server := New(opts)
	require.Nil(t, server.TransparentAddr())
	require.NoError(t, server.Listen(t.Context()))
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	address := server.TransparentAddr().String()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, server.Shutdown(t.Context()))
	require.NoError(t, <-served)
	_, err = net.Dial("tcp", address)
	require.Error(t, err)
}

func TestListenBindsAllAddressesOrNone(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	opts, _, _ := testOptions(&fakes{})
	opts.Transparent = Transparent{Address: taken.Addr().String(), Endpoint: "orders"}
	server := New(opts)
	require.ErrorContains(t, server.Listen(t.Context()), "the transparent proxy")
	_, err = net.Dial("tcp", server.Addr().String())
	require.Error(t, err)
}
