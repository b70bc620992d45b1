package e2e_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// Lines of the log.
const (
	rotated    = "files with secrets or certificates have changed; the new values are in use"
	notRotated = "cannot use changed files with secrets or certificates; the old values stay in use"
)

// vault holds the files of an installation.
type vault struct {
	t   *testing.T
	dir string
}

// put replaces a file, as those who write secrets should: by renaming.
func (v vault) put(name, content string) {
	v.t.Helper()
	path := filepath.Join(v.dir, name)
	require.NoError(v.t, os.WriteFile(path+".new", []byte(content), 0o600))
	require.NoError(v.t, os.Rename(path+".new", path))
}

// rotatedEndpoint has all that can be in a file of an endpoint.
const rotatedEndpoint = `
proxy:
  default_endpoint: b
  endpoints:
    b:
      url: %q
      headers: {X-Secret: "file:secret"}
      auth: {type: bearer, token: "file:token"}
      tls: {ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}
      retry: {max_attempts: 1}
`

// rotatedBackend answers with the secrets that it is shown, and refuses clients without a certificate.
type rotatedBackend struct {
	*httptest.Server

	certificate atomic.Pointer[tls.Certificate]
}

func startRotatedBackend(t *testing.T, own tls.Certificate) *rotatedBackend {
	t.Helper()
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %x", r.Header.Get("Authorization"), r.Header.Get("X-Secret"),
			r.TLS.PeerCertificates[0].Signature[:8])
	}
	b := &rotatedBackend{Server: httptest.NewUnstartedServer(http.HandlerFunc(handler))}
	b.certificate.Store(&own)
	b.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return b.certificate.Load(), nil },
	}
	b.StartTLS()
	b.URL = strings.Replace(b.URL, "127.0.0.1", "localhost", 1) // an address would not ask for a certificate by name
	t.Cleanup(b.Close)
	return b
}

// pair makes a certificate with its key: both as PEM, and as TLS takes them.
func pair(t *testing.T) (certificate, key string, both tls.Certificate) {
	t.Helper()
	certificateFile, keyFile := testkit.SelfSigned(t)
	both, err := tls.LoadX509KeyPair(certificateFile, keyFile)
	require.NoError(t, err)
	return read(t, certificateFile), read(t, keyFile), both
}

func shown(t *testing.T, token, secret string, client tls.Certificate) string {
	t.Helper()
	return fmt.Sprintf("Bearer %s %s %x", token, secret, client.Leaf.Signature[:8])
}

func TestChangedSecretsAndCertificatesOfAnEndpointNeedNoRestart(t *testing.T) {
	t.Parallel()
	serverOld, _, own := pair(t)
	serverNew, _, next := pair(t)
	certificateOld, keyOld, first := pair(t)
	certificateNew, keyNew, second := pair(t)
	backend := startRotatedBackend(t, own)
	gateway := testkit.NewGateway(t, fmt.Sprintf(rotatedEndpoint, backend.URL))
	v := vault{t: t, dir: gateway.Dir}
	v.put("token", "old-token")
	v.put("secret", "old-secret")
	v.put("ca.pem", serverOld)
	v.put("cert.pem", certificateOld)
	v.put("key.pem", keyOld)
	process := gateway.Start()
	client := process.Client()
	answer := func() string { // no call may fail
		result := client.Result(client.Submit(`{"payload": 1}`).CorrelationID)
		require.Equal(t, http.StatusOK, result.StatusCode, string(result.Document))
		return strings.Trim(string(result.Result), `"`)
	}
	require.Equal(t, shown(t, "old-token", "old-secret", first), answer())

	v.put("token", "new-token")
	v.put("secret", "new-secret")
	v.put("ca.pem", serverOld+serverNew)
	v.put("cert.pem", certificateNew[:len(certificateNew)/2])
	require.Equal(t, "endpoint b", process.AwaitLog(notRotated)["of"])
	require.Equal(t, shown(t, "old-token", "old-secret", first), answer(), "half a certificate changes nothing")
	v.put("cert.pem", certificateNew)
	v.put("key.pem", keyNew)
	testkit.Until(t, "the new values are in use", func() bool {
		return answer() == shown(t, "new-token", "new-secret", second)
	})
	require.Equal(t, "endpoint b", process.AwaitLog(rotated)["of"])

	backend.certificate.Store(&next)
	backend.CloseClientConnections()
	require.Equal(t, shown(t, "new-token", "new-secret", second), answer(), "the new authority is known")
	for _, secret := range []string{"old-token", "new-token", "old-secret", "new-secret"} {
		require.NotContains(t, process.Log.Text(), secret)
	}
}

func TestAChangedPasswordOfRedisNeedsNoRestart(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	server.Run("ACL", "SETUSER", "ann", "on", ">old-s3cret", "~*", "&*", "+@all")
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL),
		"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=file:redis-url", "OPENHQM_QUEUE_LEASE=60s")
	v := vault{t: t, dir: gateway.Dir}
	url := func(password string) string { return "redis://ann:" + password + "@" + server.Address + "\n" }
	v.put("redis-url", url("old-s3cret"))
	process := gateway.Start()
	client := process.Client()
	held := client.Submit(`{"payload": 1}`).CorrelationID
	backend.Await(1)

	server.Run("ACL", "SETUSER", "ann", "resetpass", ">new-s3cret")
	v.put("redis-url", url("new-s3cret"))
	server.Run("CLIENT", "KILL", "USER", "ann")

	require.Equal(t, "redis", process.AwaitLog(rotated)["of"])
	close(release)
	id := acceptedAgain(t, client)
	for _, id := range []string{held, id} {
		result := client.Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, 1, result.Attempts)
	}
	require.NotContains(t, process.Log.Text(), "s3cret")
}

func TestChangedCertificatesOfRedisNeedNoRestart(t *testing.T) {
	t.Parallel()
	certificate, key := testkit.SelfSigned(t)
	nextCertificate, nextKey := testkit.SelfSigned(t)
	server := testkit.StartRedis(t,
		"--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	address := listenTLS(t, server)
	gateway := testkit.NewGateway(t, "", "OPENHQM_QUEUE_TYPE=redis",
		"OPENHQM_REDIS_URL=rediss://"+address, "OPENHQM_REDIS_TLS_CA_FILE=ca.pem")
	v := vault{t: t, dir: gateway.Dir}
	v.put("ca.pem", read(t, certificate))
	process := gateway.Start()
	client := process.Client()

	v.put("ca.pem", read(t, nextCertificate))
	require.Equal(t, "redis", process.AwaitLog(rotated)["of"])
	server.Run("CONFIG", "SET", "tls-cert-file", nextCertificate, "tls-key-file", nextKey)
	server.Run("CLIENT", "KILL", "TYPE", "normal")

	require.Equal(t, "COMPLETED", client.Result(acceptedAgain(t, client)).Status)
}

// acceptedAgain submits until that is accepted, and waits until no connection that was killed is left.
func acceptedAgain(t *testing.T, client *testkit.Client) (id string) {
	t.Helper()
	testkit.Until(t, "requests are accepted", func() bool {
		answer := client.Post(`{"payload": 2}`, nil)
		id = answer.Header.Get("X-Correlation-Id")
		return answer.Code == http.StatusAccepted
	})
	testkit.Until(t, "results can be read", func() bool {
		result, err := client.TryResult(t.Context(), id)
		return err == nil && result.Status == "COMPLETED"
	})
	return id
}
