package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// secured is a gateway with TLS on all its addresses, whose administrators must have a certificate.
const secured = `
server:
  admin_listen: 127.0.0.1:0
  tls: {cert_file: cert.pem, key_file: key.pem}
  admin_tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: clients.pem}
proxy:
  default_endpoint: b
  forwarded: x-forwarded
  transparent: {listen: 127.0.0.1:0, endpoint: b}
  endpoints: {b: {url: %q}}
`

// caller makes requests that trust one authority and show a certificate, if there is one.
func caller(t *testing.T, authority string, shown ...tls.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(authority)))
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: shown},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask makes a request and returns the status, the protocol and the body of the answer.
func ask(t *testing.T, client *http.Client, method, url, body string) (status int, proto, content string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Prefer", "wait=30")
	answer, err := client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, answer.Proto, string(text)
}

func TestEveryAddressCanBeEncrypted(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Reply(func(w http.ResponseWriter, r *http.Request, _ *testkit.Call) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	gateway := testkit.NewGateway(t, fmt.Sprintf(secured, backend.URL))
	v := vault{t: t, dir: gateway.Dir}
	certificate, key, _ := pair(t)
	clients, _, own := pair(t)
	v.put("cert.pem", certificate)
	v.put("key.pem", key)
	v.put("clients.pem", clients)
	process := gateway.Launch()
	address := func(line string) string {
		return "https://" + fmt.Sprint(process.AwaitLog(line)["address"])
	}
	main, admin := address("listening"), address("listening for administration")
	transparent := address("listening for the endpoint")

	client := caller(t, certificate)
	status, proto, body := ask(t, client, "POST", main+"/api/v1/submit", `{"payload": 1}`)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "HTTP/2.0", proto)
	require.Contains(t, body, `"result":"https"`)
	_, _, body = ask(t, client, "POST", transparent+"/any", "")
	require.Equal(t, "https", body)
	status, _, _ = ask(t, client, "GET", strings.Replace(main, "https:", "http:", 1)+"/health/live", "")
	require.Equal(t, http.StatusBadRequest, status, "nothing is served in the clear")

	status, _, body = ask(t, caller(t, certificate, own), "GET", admin+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "openhqm_")
	_, err := client.Get(admin + "/metrics") //nolint:bodyclose // there is no answer
	require.Error(t, err, "the alert may come after the connection has broken")
	testkit.Until(t, "it is logged", func() bool {
		return strings.Contains(process.Log.Text(), "didn't provide a certificate")
	})

	next, nextKey, _ := pair(t)
	v.put("cert.pem", next)
	v.put("key.pem", nextKey)
	process.AwaitLog(rotated)
	testkit.Until(t, "the new certificate is in use", func() bool {
		answer, err := caller(t, next).Get(main + "/health/live")
		return err == nil && answer.Body.Close() == nil
	})
}
