package httpbackend_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

func TestRenewedSecretsAreSentFromTheNextCallOn(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+" "+r.Header.Get("X-Old")+" "+r.Header.Get("X-New"))
	})
	endpoint := httpbackend.Endpoint{
		Name: endpointName, URL: server.URL, Header: domain.Header{"X-Old": {"1"}},
		Auth: httpbackend.Auth{Kind: httpbackend.AuthBearer, Token: "old"},
	}
	client := newClient(t, endpoint)
	sent := func() string {
		call := callOf(http.MethodGet, nil)
		call.Request.Header = domain.Header{"X-New": {"client"}, "X-Old": {"client"}}
		response, err := client.Do(t.Context(), call)
		require.NoError(t, err)
		return string(response.Body)
	}
	require.Equal(t, "Bearer old 1 client", sent())

	endpoint.Auth.Token, endpoint.Header = "new", domain.Header{"X-New": {"2"}}
	require.NoError(t, client.Renew(endpoint))
	require.Equal(t, "Bearer new client 2", sent(), "the client's field is its own again")

	for _, spoil := range []func(*httpbackend.Endpoint){
		func(e *httpbackend.Endpoint) { e.Auth.Token = "" },
		func(e *httpbackend.Endpoint) { e.Auth.Token = "sesame\n" },
		func(e *httpbackend.Endpoint) { e.Name = "other" },
	} {
		spoilt := endpoint
		spoil(&spoilt)
		err := client.Renew(spoilt)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "sesame")
		require.Equal(t, "Bearer new client 2", sent())
	}
}

// The first call holds its connection until after the change: it is not cut off.
func TestRenewedCertificatesAreShownOnNewConnections(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			authority := newAuthority(t)
			held, release := make(chan struct{}), make(chan struct{})
			server := serveMutual(t, authority, protocol, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/held" {
					close(held)
					<-release
				}
				_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
			})
			endpoint := httpbackend.Endpoint{
				Name: endpointName, URL: server.URL,
				TLS: authority.trusted("backend.test", authority.issue(t, "old", time.Now().Add(time.Hour))),
			}
			client := newClient(t, endpoint)
			shown := func(path string) string {
				call := callOf(http.MethodGet, nil)
				call.Request.Path = path
				response, err := client.Do(t.Context(), call)
				if err != nil {
					return err.Error()
				}
				return string(response.Body)
			}
			first := make(chan string, 1)
			go func() { first <- shown("/held") }()
			<-held

			endpoint.TLS = authority.trusted("backend.test", authority.issue(t, "new", time.Now().Add(time.Hour)))
			require.NoError(t, client.Renew(endpoint))

			require.Equal(t, "new", shown("/"))
			close(release)
			require.Equal(t, "old", <-first)
			require.Equal(t, "new", shown("/"))
		})
	}
}

// serveMutual asks clients for a certificate of the authority.
func serveMutual(t *testing.T, a authority, protocol string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = protocol == "h2"
	server.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{protocol}, ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs:    a.trusted("").RootCAs,
		Certificates: []tls.Certificate{a.issue(t, "backend.test", time.Now().Add(time.Hour))},
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}
