package httpbackend_test

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	endpointName = "orders"
	maxResponse  = 1 << 20
	secret       = "s3cr3t-Value"
)

// serve starts a server that is stopped after the client of the test is closed.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// serveTLS starts a server that offers HTTP/2.
func serveTLS(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func options(endpoint httpbackend.Endpoint) httpbackend.Options {
	endpoint.DialTimeout = cmp.Or(endpoint.DialTimeout, time.Minute)
	return httpbackend.Options{
		Endpoints:       []httpbackend.Endpoint{endpoint},
		HeaderPolicy:    domain.HeaderPolicy{Forward: []string{"*"}},
		Pseudonym:       "openhqm",
		MaxResponseSize: maxResponse,
		MaxIdlePerHost:  8,
	}
}

func newClient(t *testing.T, endpoint httpbackend.Endpoint) *httpbackend.Client {
	t.Helper()
	endpoint.Name = endpointName
	client, err := httpbackend.New(options(endpoint))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// callOf is a first attempt; a nil body is none.
func callOf(method string, body []byte) ports.Call {
	return ports.Call{
		Method:  method,
		Attempt: 1,
		Request: &domain.Request{ID: "id-1", Endpoint: endpointName, Body: body},
	}
}

func do(t *testing.T, client *httpbackend.Client, call ports.Call) *domain.Response {
	t.Helper()
	resp, err := client.Do(t.Context(), call)
	require.NoError(t, err)
	return resp
}

// requireFailure wants no response and a failure of that kind, without any secret in its text.
func requireFailure(t *testing.T, want domain.FailureKind, resp *domain.Response, err error) *domain.Failure {
	t.Helper()
	require.Nil(t, resp)
	var failure *domain.Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, want, failure.Kind, err)
	require.NotContains(t, err.Error(), secret)
	return failure
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const url = "http://127.0.0.1"
	bearer := httpbackend.AuthBearer
	tests := []struct {
		name string
		give httpbackend.Endpoint
		want string
	}{
		{"an unparsable URL", httpbackend.Endpoint{URL: "http://u:" + secret + "@h:port"}, "cannot be parsed"},
		{"another scheme", httpbackend.Endpoint{URL: "ftp://h"}, "must begin with http"},
		{"no scheme", httpbackend.Endpoint{URL: "localhost:80"}, "must begin with http"},
		{"no host", httpbackend.Endpoint{URL: "http:///x"}, "has no host"},
		{"userinfo", httpbackend.Endpoint{URL: "http://u:" + secret + "@h"}, "username or password"},
		{"a fragment", httpbackend.Endpoint{URL: "http://h/#f"}, "fragment"},
		{"a space in the query", httpbackend.Endpoint{URL: "http://h/?a b"}, "percent-encoded"},
		{"TLS without https", httpbackend.Endpoint{URL: url, TLS: new(tls.Config)}, "https"},
		{"an unknown auth type", httpbackend.Endpoint{URL: url, Auth: httpbackend.Auth{Kind: "magic"}}, `"magic"`},
		{"an empty token", httpbackend.Endpoint{URL: url, Auth: httpbackend.Auth{Kind: bearer}}, "token is empty"},
		{
			"a token with a line break",
			httpbackend.Endpoint{URL: url, Auth: httpbackend.Auth{Kind: bearer, Token: secret + "\n"}},
			"Authorization has an invalid value",
		},
		{
			"custom auth without a header",
			httpbackend.Endpoint{URL: url, Auth: httpbackend.Auth{Kind: httpbackend.AuthCustom, Token: secret}},
			"needs a header",
		},
		{
			"basic auth with a colon in the name",
			httpbackend.Endpoint{URL: url, Auth: httpbackend.Auth{Kind: httpbackend.AuthBasic, Username: "a:" + secret}},
			"colon",
		},
		{
			"basic auth without anything",
			httpbackend.Endpoint{URL: url, Auth: httpbackend.Auth{Kind: httpbackend.AuthBasic}},
			"empty",
		},
		{
			"auth in a hop-by-hop field",
			httpbackend.Endpoint{URL: url, Auth: httpbackend.Auth{
				Kind: httpbackend.AuthCustom, Token: secret, Header: "connection",
			}},
			"header connection",
		},
		{"a static Host", httpbackend.Endpoint{URL: url, Header: domain.Header{"host": {secret}}}, "header host"},
		{
			"a static name twice",
			httpbackend.Endpoint{URL: url, Header: domain.Header{"SOAPAction": {"a"}, "soapaction": {"b"}}},
			"soapaction: is configured twice",
		},
		{
			"an invalid static name",
			httpbackend.Endpoint{URL: url, Header: domain.Header{"a b": {secret}}},
			"invalid name",
		},
		{
			"an invalid static value",
			httpbackend.Endpoint{URL: url, Header: domain.Header{"X-A": {secret + "\r\n"}}},
			"X-A has an invalid value",
		},
		{"a negative dial timeout", httpbackend.Endpoint{URL: url, DialTimeout: -1}, "dial timeout"},
		{"a negative header timeout", httpbackend.Endpoint{URL: url, HeaderTimeout: -1}, "header timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.give.Name = endpointName
			client, err := httpbackend.New(options(tt.give))
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, `endpoint "orders"`)
			require.NotContains(t, err.Error(), secret)
			require.Nil(t, client)
		})
	}
}

func TestNewChecksItsLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give func(*httpbackend.Options)
		want string
	}{
		{func(o *httpbackend.Options) { o.MaxResponseSize = 0 }, "size limit"},
		{func(o *httpbackend.Options) { o.MaxIdlePerHost = 0 }, "idle connections"},
		{func(o *httpbackend.Options) { o.Endpoints = append(o.Endpoints, o.Endpoints[0]) }, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			o := options(httpbackend.Endpoint{Name: endpointName, URL: "http://h"})
			tt.give(&o)
			_, err := httpbackend.New(o)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	auth := httpbackend.Auth{
		Kind: httpbackend.AuthBasic, Token: secret, Username: secret, Password: secret, Header: secret,
	}
	endpoint := httpbackend.Endpoint{
		Name: endpointName, URL: "http://h/?k=" + secret, Header: domain.Header{"X-A": {secret}}, Auth: auth,
	}
	client := newClient(t, httpbackend.Endpoint{
		URL: "http://h", Header: domain.Header{"X-A": {secret}},
		Auth: httpbackend.Auth{Kind: httpbackend.AuthBearer, Token: secret},
	})
	for _, value := range []any{auth, &auth, endpoint, &endpoint, options(endpoint), client} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", value)
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		out.Write(encoded)
		require.NotContains(t, out.String(), secret, "%T", value)
		require.NotContains(t, out.String(), fmt.Sprintf("%x", secret), "%T", value)
	}
	require.Equal(t, "basic orders", fmt.Sprint(auth, " ", endpoint))
}

func TestDoSendsNothingForAnEndpointItDoesNotKnow(t *testing.T) {
	t.Parallel()
	client := newClient(t, httpbackend.Endpoint{URL: "http://127.0.0.1:1"})
	call := callOf(http.MethodPost, nil)
	call.Request.Endpoint = "payments"
	resp, err := client.Do(t.Context(), call)
	requireFailure(t, domain.FailureUnsendable, resp, err)
}

func TestDoReusesConnections(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(answerAllKinds))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := newClient(t, httpbackend.Endpoint{URL: server.URL})
	for i := range 100 {
		call := callOf([]string{http.MethodPost, http.MethodGet, http.MethodHead}[i%3], nil)
		call.Request.Path = []string{"/known", "/none", "/chunked", "/largest", "/missing", "/broken", "/endless"}[i%7]
		if resp := do(t, client, call); call.Method != http.MethodHead && call.Request.Path == "/largest" {
			require.Len(t, resp.Body, maxResponse)
		}
	}
	require.EqualValues(t, 1, connections.Load())
}

// answerAllKinds answers with every way to end a message that keeps the connection.
func answerAllKinds(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/chunked":
		_, _ = io.WriteString(w, "a")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "b")
	case "/largest":
		w.Header().Set("Content-Length", strconv.Itoa(maxResponse))
		_, _ = w.Write(make([]byte, maxResponse))
	case "/endless": // as far as it tells before
		_, _ = w.Write(make([]byte, maxResponse))
	case "/missing":
		http.Error(w, "no such order", http.StatusNotFound)
	case "/broken":
		http.Error(w, "out of order", http.StatusInternalServerError)
	default:
		_, _ = io.WriteString(w, "known")
	}
}

func TestDoKeepsNoCookiesAndFollowsNoRedirects(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, "cookies:"+r.Header.Get("Cookie"))
	})
	client := newClient(t, httpbackend.Endpoint{URL: server.URL})
	for range 2 {
		resp := do(t, client, callOf(http.MethodGet, nil))
		require.Equal(t, http.StatusFound, resp.StatusCode)
		require.Equal(t, "/elsewhere", resp.Header.Get("Location"))
		require.Equal(t, "cookies:", string(resp.Body))
	}
	require.EqualValues(t, 2, calls.Load())
}
