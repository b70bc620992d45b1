package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestOnlyEndToEndHeadersReachTheBackend(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	config := testkit.OneBackend(backend.URL)
	client := testkit.NewGateway(t, config, "OPENHQM_PROXY_STRIP_HEADERS=X-Stripped",
		"OPENHQM_PROXY_VIA=our-gateway").Start().Client()
	const document = `{"payload": 1, "headers": {
		"X-Kept": ["one", "two"], "Accept-Language": "de",
		"Connection": "close, X-Named", "X-Named": "by Connection", "Keep-Alive": "timeout=5",
		"Proxy-Authorization": "Basic eDp5", "Proxy-Connection": "close", "TE": "trailers", "Trailer": "X-T",
		"Transfer-Encoding": "chunked", "Upgrade": "h2c", "Host": "elsewhere", "Content-Length": "7",
		"x-openhqm-key": "key in the document", "x-stripped": "by configuration"
	}}`
	answer := client.Post(document, http.Header{
		"X-OpenHQM-Key":    {"key of the caller"},
		"X-Correlation-ID": {"client-17"},
		"Cookie":           {"session=of-the-gateway"},
		"Authorization":    {"Bearer for-the-gateway"},
	})
	require.Equal(t, http.StatusAccepted, answer.Code)
	id := answer.Header.Get("X-Correlation-Id")
	require.NotEqual(t, "client-17", id)

	require.Equal(t, "COMPLETED", client.Result(id).Status)

	call := backend.CallsOf(id)[0]
	require.Equal(t, strings.TrimPrefix(backend.URL, "http://"), call.Host)
	require.Equal(t, http.Header{
		"X-Kept":            {"one", "two"},
		"Accept-Language":   {"de"},
		"Content-Type":      {"application/json"},
		"Content-Length":    {"1"},
		"X-Correlation-Id":  {"client-17"},
		"Idempotency-Key":   {id},
		"X-Openhqm-Id":      {id},
		"X-Openhqm-Attempt": {"1"},
		"Via":               {"1.1 our-gateway"},
	}, call.Header)
}

func TestARestrictionOfHeadersKeepsWhatConnectsCalls(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	client := testkit.NewGateway(t, testkit.OneBackend(backend.URL), "OPENHQM_PROXY_FORWARD_HEADERS=Accept",
		"OPENHQM_PROXY_STRIP_HEADERS=tracestate").Start().Client()
	given := http.Header{
		"X-Correlation-Id": {"client-17"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"Idempotency-Key": {"key"}, "Tracestate": {"a=1"}, "X-Other": {"1"}, "Accept": {"text/plain"},
	}
	answer, err := client.Call(t.Context(), http.MethodPut, "/proxy/backend/x", given, nil)
	require.NoError(t, err)
	id := answer.Header.Get("X-Correlation-Id")
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	got := backend.CallsOf(id)[0].Header
	for _, name := range []string{"X-Correlation-Id", "Traceparent", "Idempotency-Key", "Accept"} {
		require.Equal(t, given[name], got[name], name)
	}
	require.NotContains(t, got, "Tracestate")
	require.NotContains(t, got, "X-Other")
}

func TestMethodPathAndQueryReachTheBackendAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	client := testkit.NewGateway(t, testkit.OneBackend(backend.URL+"/base/")).Start().Client()

	id := client.Submit(`{
		"payload": {"a": 1},
		"headers": {"content-type": "application/vnd.tea+json"},
		"metadata": {"method": "PATCH", "path": "/a%2Fb/c%20d//", "query": "q=%20&q=2&Q"}
	}`).CorrelationID

	require.Equal(t, "COMPLETED", client.Result(id).Status)
	call := backend.CallsOf(id)[0]
	require.Equal(t, "PATCH", call.Method)
	require.Equal(t, "/base/a%2Fb/c%20d//?q=%20&q=2&Q", call.Target)
	require.Equal(t, []string{"application/vnd.tea+json"}, call.Header.Values("Content-Type"))
}

func TestAPathThatClimbsOutOfTheEndpointIsRefused(t *testing.T) {
	t.Parallel()
	client := testkit.NewGateway(t, "").Start().Client()
	for _, path := range []string{"/../x", "/a/%2e%2E/x", `/a/..\\x`, "x", "/a b"} {
		answer := client.Post(`{"payload": 1, "metadata": {"path": "`+path+`"}}`, nil)

		require.Equal(t, "metadata.path", answer.Problem(t, http.StatusBadRequest).Field, path)
	}
}
