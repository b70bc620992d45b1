package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestAPageOfAListedOriginSubmitsAndReadsItsResult does what a browser does for fetch.
func TestAPageOfAListedOriginSubmitsAndReadsItsResult(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.With("Access-Control-Allow-Origin", "https://else.example", testkit.Echo()))
	const origin = "https://app.example"
	client := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+
		"server: {cors: {origins: ["+origin+"]}}\n").Start().Client()
	call := func(method, path, body string, header http.Header) *testkit.Answer {
		header.Set("Sec-Fetch-Site", "cross-site")
		answer, err := client.Call(t.Context(), method, path, header, []byte(body))
		require.NoError(t, err)
		return answer
	}
	preflight := call(http.MethodOptions, "/api/v1/submit", "", http.Header{
		"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type"},
	})
	require.Equal(t, http.StatusNoContent, preflight.Code)
	require.Equal(t, origin, preflight.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "content-type", preflight.Header.Get("Access-Control-Allow-Headers"))

	page := func() http.Header { return http.Header{"Origin": {origin}, "Content-Type": {"application/json"}} }
	accepted := call(http.MethodPost, "/api/v1/submit", `{"payload": 1}`, page())
	require.Equal(t, http.StatusAccepted, accepted.Code, string(accepted.Body))
	require.Equal(t, origin, accepted.Header.Get("Access-Control-Allow-Origin"))
	id := accepted.Header.Get("X-Correlation-Id")
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	raw := call(http.MethodGet, "/api/v1/response/"+id+"/raw", "", page())
	require.Equal(t, "1", string(raw.Body))
	require.Equal(t, []string{origin}, raw.Header.Values("Access-Control-Allow-Origin"))

	other := http.Header{"Origin": {"https://evil.example"}, "Content-Type": {"application/json"}}
	refused := call(http.MethodPost, "/api/v1/submit", `{"payload": 1}`, other)
	require.Equal(t, http.StatusForbidden, refused.Code)
	require.Empty(t, refused.Header.Values("Access-Control-Allow-Origin"))
	wrong := call(http.MethodDelete, "/api/v1/dead-letters/"+id, "", page())
	require.Equal(t, http.StatusForbidden, wrong.Code, "administration is for no page")
}
