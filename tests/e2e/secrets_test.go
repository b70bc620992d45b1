package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// Secrets, as variables hand them to the program. That of secretFile is in a file.
const (
	secretBearer = "bearer-s3cr3t-1f6b"
	secretBasic  = "basic-s3cr3t-77aa"
	secretHeader = "header-s3cr3t-9c01"
	secretFile   = "file-s3cr3t-e8d2"
)

// secretEndpoints are one for each kind of authentication.
const secretEndpoints = `
log: {level: debug}
retry: {base: 20ms, max: 20ms, max_attempts: 2}
proxy:
  endpoints:
    none:    {url: %[1]q}
    bearer:  {url: %[1]q, auth: {type: bearer, token: "${BEARER}"}}
    api_key: {url: %[1]q, auth: {type: api_key, token: "file:key"}}
    basic:   {url: %[1]q, auth: {type: basic, username: ann, password: "${BASIC}"}}
    custom:  {url: %[1]q, auth: {type: custom, header: X-Ticket, token: "file:key"}}
    static:  {url: %[1]q, headers: {X-Static: "${HEADER}"}}
    down:    {url: %[2]q, headers: {X-Static: "${HEADER}"}, auth: {type: bearer, token: "${BEARER}"}}
`

// newSecretGateway makes a gateway whose endpoint "down" is at another URL than the rest.
func newSecretGateway(t *testing.T, url, down string) *testkit.Gateway {
	t.Helper()
	gateway := testkit.NewGateway(t, fmt.Sprintf(secretEndpoints, url, down),
		"BEARER="+secretBearer, "BASIC="+secretBasic, "HEADER="+secretHeader)
	require.NoError(t, os.WriteFile(filepath.Join(gateway.Dir, "key"), []byte(secretFile+"\n"), 0o600))
	return gateway
}

func TestEveryKindOfAuthenticationReachesTheBackend(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	client := newSecretGateway(t, backend.URL, backend.URL).Start().Client()
	tests := []struct {
		endpoint, header, want string
	}{
		{endpoint: "none", header: "Authorization", want: "mine"},
		{endpoint: "bearer", header: "Authorization", want: "Bearer " + secretBearer},
		{endpoint: "api_key", header: "X-Api-Key", want: secretFile},
		{endpoint: "basic", header: "Authorization", want: "Basic " + basic("ann", secretBasic)},
		{endpoint: "custom", header: "X-Ticket", want: secretFile},
		{endpoint: "static", header: "X-Static", want: secretHeader},
	}
	for _, tt := range tests {
		t.Run(tt.endpoint, func(t *testing.T) {
			t.Parallel()
			// What the client says under the same name is weaker.
			id := client.Submit(fmt.Sprintf(
				`{"payload": 1, "headers": {%q: "mine"}, "metadata": {"endpoint": %q}}`, tt.header, tt.endpoint,
			)).CorrelationID

			require.Equal(t, "COMPLETED", client.Result(id).Status)
			calls := backend.CallsOf(id)
			require.Len(t, calls, 1)
			require.Equal(t, []string{tt.want}, calls[0].Header.Values(tt.header))
		})
	}
}

func TestSecretsAreNeverShownAlsoWhenTheBackendFails(t *testing.T) {
	t.Parallel()
	port := testkit.NewPort(t)
	backend := testkit.NewBackend(t, testkit.InTurn(testkit.Cut(), testkit.Refuse(http.StatusInternalServerError)))
	gateway := newSecretGateway(t, backend.URL, "http://"+port.Address)
	process := gateway.Start()
	client := process.Client()

	var shown []string
	for _, endpoint := range []string{"none", "bearer", "api_key", "basic", "custom", "static", "down"} {
		id := client.Submit(fmt.Sprintf(`{"payload": 1, "metadata": {"endpoint": %q}}`, endpoint)).CorrelationID
		result := client.Result(id)
		require.Equal(t, "FAILED", result.Status, endpoint)
		require.NotEmpty(t, result.Error, endpoint)
		shown = append(shown, string(result.Document), string(client.Get("/api/v1/status/"+id).Body))
	}
	require.NotEmpty(t, backend.Calls())
	for _, path := range []string{"/health", "/health/ready", "/metrics"} {
		shown = append(shown, string(client.Get(path).Body))
	}
	printed := gateway.Run("config")
	require.Zero(t, printed.Code, printed.Stderr)
	require.Contains(t, printed.Stdout, "***")
	require.Contains(t, printed.Stdout, "ann", "what is no secret is printed")
	shown = append(shown, printed.Stdout, printed.Stderr, process.Log.Text())

	for _, text := range shown {
		for _, secret := range []string{
			secretBearer, secretBasic, secretHeader, secretFile, basic("ann", secretBasic),
		} {
			require.NotContains(t, text, secret)
		}
	}
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}
