package e2e_test

import (
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// The worker applies the policy again to what the api stored, and forward_headers names none of these fields.
func TestTheBackendGetsTheClientsAddressAsTheGatewayKnowsIt(t *testing.T) {
	t.Parallel()
	const trust = "OPENHQM_SERVER_TRUSTED_PROXIES=127.0.0.0/8"
	tests := []struct {
		name    string
		environ []string
		want    func(host string) http.Header
	}{
		{"x-forwarded, of a client", []string{"OPENHQM_PROXY_FORWARDED=x-forwarded"}, func(host string) http.Header {
			return http.Header{
				"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {host},
			}
		}},
		{"x-forwarded, behind a proxy", []string{"OPENHQM_PROXY_FORWARDED=x-forwarded", trust}, func(string) http.Header {
			return http.Header{
				"X-Forwarded-For": {"192.0.2.43"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"hqm.example.com"},
			}
		}},
		{"rfc7239, behind a proxy", []string{"OPENHQM_PROXY_FORWARDED=rfc7239", trust}, func(string) http.Header {
			return http.Header{"Forwarded": {`for=192.0.2.43;host="hqm.example.com";proto=https`}}
		}},
		{"off", []string{trust}, func(string) http.Header { return http.Header{} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := testkit.NewBackend(t, testkit.Echo())
			environ := slices.Concat(tt.environ, []string{"OPENHQM_PROXY_FORWARD_HEADERS=Accept"})
			client := testkit.NewGateway(t, testkit.OneBackend(backend.URL), environ...).Start().Client()
			// In the document the client speaks for itself, whoever has sent it.
			answer := client.Post(`{"payload": 1, "headers": {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"}}`,
				http.Header{
					"X-Forwarded-For": {"192.0.2.43"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"hqm.example.com"},
				})
			require.Equal(t, http.StatusAccepted, answer.Code)
			id := answer.Header.Get("X-Correlation-Id")
			require.Equal(t, "COMPLETED", client.Result(id).Status)

			sent := backend.CallsOf(id)[0].Header
			got := http.Header{}
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} {
				if values := sent.Values(name); values != nil {
					got[name] = values
				}
			}
			require.Equal(t, tt.want(client.Address), got)
		})
	}
}

func TestTheSidecarIsTheEndpoint(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	config := "proxy: {endpoints: {orders: {url: '" + backend.URL + "/base'}}, " +
		"transparent: {listen: '127.0.0.1:0', endpoint: orders}}\n"
	gateway := testkit.NewGateway(t, config).Start()
	client := gateway.Client()
	line := gateway.AwaitLog("listening for the endpoint")
	require.Equal(t, "orders", line["endpoint"])
	address, _ := line["address"].(string)

	request, err := http.NewRequestWithContext(t.Context(), "PROPFIND", "http://"+address+"/health/a%2Fb?q=1", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusAccepted, response.StatusCode)
	id := response.Header.Get("X-Correlation-Id")
	require.Equal(t, "COMPLETED", client.Result(id).Status)

	call := backend.CallsOf(id)[0]
	require.Equal(t, "PROPFIND", call.Method)
	require.Equal(t, "/base/health/a%2Fb?q=1", call.Target)
}

func TestTheAddressOfABackendIsOnlyInTheLog(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	gateway := testkit.NewGateway(t, testkit.OneBackend("http://"+address), "OPENHQM_RETRY_MAX_ATTEMPTS=1").Start()
	client := gateway.Client()

	result := client.Result(client.Submit(`{"payload": 1}`).CorrelationID)

	require.Equal(t, "FAILED", result.Status)
	require.Equal(t, "unreachable: connection refused", result.Error)
	require.NotContains(t, string(result.Document), address)
	require.Equal(t, address, gateway.AwaitLog("attempt")["backend"])
}
