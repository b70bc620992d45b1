package e2e_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// circle is a gateway whose endpoints lead back to it. It forwards no field of clients but Content-Type.
const circle = `
proxy:
  forward_headers: [Content-Type]
  endpoints:
    a: {url: "%[1]s/proxy/b"}
    b: {url: "%[1]s/proxy/a"}
`

// relay is a backend that passes all requests on to a gateway, which it learns later.
func relay(t *testing.T) (backend *testkit.Backend, to *atomic.Pointer[testkit.Client]) {
	t.Helper()
	to = new(atomic.Pointer[testkit.Client])
	return testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		request, err := http.NewRequestWithContext(r.Context(), call.Method,
			"http://"+to.Load().Address+call.Target, bytes.NewReader(call.Body))
		if err != nil {
			return
		}
		request.Header = call.Header.Clone()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return
		}
		defer response.Body.Close()
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}), to
}

func TestAGatewayThatCallsItselfAnswers508(t *testing.T) {
	t.Parallel()
	t.Run("one process", func(t *testing.T) {
		t.Parallel()
		backend, to := relay(t)
		client := testkit.NewGateway(t, fmt.Sprintf(circle, backend.URL)).Start().Client()
		to.Store(client)
		endsInACircle(t, client, backend)
	})
	t.Run("roles apart", func(t *testing.T) {
		t.Parallel()
		server := testkit.StartRedis(t)
		backend, to := relay(t)
		install := func(role string) *testkit.Gateway {
			return testkit.NewGateway(t, fmt.Sprintf(circle, backend.URL),
				"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL="+server.URL(), "OPENHQM_ROLE="+role)
		}
		client := install("api").Start().Client()
		to.Store(client)
		install("worker").Start()
		endsInACircle(t, client, backend)
	})
}

func endsInACircle(t *testing.T, client *testkit.Client, backend *testkit.Backend) {
	t.Helper()
	result := client.Result(client.Submit(`{"payload": 1, "metadata": {"endpoint": "a"}}`).CorrelationID)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, http.StatusLoopDetected, result.StatusCode)
	require.Contains(t, string(result.Document), `"code":"LOOP"`)
	require.Len(t, backend.Calls(), 1)
}

func TestAGatewayMayCallAnotherOne(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	inner := testkit.NewGateway(t, testkit.OneBackend(backend.URL)).Start().Client()
	outer := testkit.NewGateway(t, testkit.OneBackend("http://"+inner.Address+"/proxy/backend")).Start().Client()

	result := outer.Result(outer.Submit(`{"payload": 1}`).CorrelationID)

	require.Equal(t, http.StatusAccepted, result.StatusCode)
	hops := strings.Split(backend.Await(1)[0].Header.Get("Via"), ", ")
	require.Len(t, hops, 2)
	require.NotEqual(t, hops[0], hops[1])
}

func TestAnEndpointThatLeadsBackHereIsWarnedOf(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, testkit.OneBackend("http://hqm.test/proxy/backend"),
		"OPENHQM_SERVER_PUBLIC_URL=http://hqm.test")
	line := gateway.Start().AwaitLog("an endpoint leads back here")
	require.Contains(t, line["warning"], `endpoint "backend"`)
}

// The name is "localhost" once IDNA has mapped it, which needs no DNS.
func TestANameWithLettersOutsideASCIIIsOneNameForDNSAndForCertificates(t *testing.T) {
	t.Parallel()
	certificate, key := testkit.SelfSigned(t)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host)
	}))
	pair, err := tls.LoadX509KeyPair(certificate, key)
	require.NoError(t, err)
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	backend.StartTLS()
	t.Cleanup(backend.Close)
	_, port, _ := strings.Cut(backend.Listener.Addr().String(), ":")
	config := fmt.Sprintf(`
proxy:
  default_endpoint: b
  endpoints: {b: {url: "https://locaⓛhost:%s", tls: {ca_file: %q}}}
`, port, certificate)
	client := testkit.NewGateway(t, config).Start().Client()

	result := client.Result(client.Submit(`{"payload": 1}`).CorrelationID)

	require.Equal(t, http.StatusOK, result.StatusCode, string(result.Document))
	require.Contains(t, string(result.Document), "localhost:"+port)
}
