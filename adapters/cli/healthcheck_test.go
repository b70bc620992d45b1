package cli

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// gateway answers every request with one status and says what it was asked.
func gateway(t *testing.T, status int) (port string, asked <-chan string) {
	t.Helper()
	targets := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		targets <- r.Method + " " + r.RequestURI
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return portOf(t, server), targets
}

func portOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	return address.Port()
}

// runHealthcheck checks a process that listens on a port of all addresses.
func runHealthcheck(t *testing.T, port string) (code int, stderr string) {
	t.Helper()
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	program := testProgram()
	program.Listen = func(Settings) (Listener, error) { return Listener{Host: "0.0.0.0", Port: number}, nil }
	code, stdout, stderr := run(program, "healthcheck")
	require.Empty(t, stdout)
	return code, stderr
}

func TestHealthcheckIsWellWhenTheProcessIsAlive(t *testing.T) {
	t.Parallel()
	port, asked := gateway(t, http.StatusOK)
	code, stderr := runHealthcheck(t, port)
	require.Equal(t, exitOK, code)
	require.Equal(t, "GET /health/live", <-asked)
	require.Empty(t, stderr)
}

func TestHealthcheckFailsOnAnyOtherAnswer(t *testing.T) {
	t.Parallel()
	for _, give := range []int{
		http.StatusNoContent, http.StatusFound, http.StatusNotFound, http.StatusServiceUnavailable,
	} {
		t.Run(http.StatusText(give), func(t *testing.T) {
			t.Parallel()
			port, asked := gateway(t, give)
			code, stderr := runHealthcheck(t, port)
			require.Equal(t, exitFailed, code)
			require.Regexp(t,
				`^openhqm: health check: GET http://127\.0\.0\.1:\d+/health/live: status \d{3}\n$`, stderr)
			<-asked
			require.Empty(t, asked, "a redirect is not followed")
		})
	}
}

func TestHealthcheckFailsWhereNobodyListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	port := portOf(t, server)
	server.Close()
	code, stderr := runHealthcheck(t, port)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "/health/live: dial tcp 127.0.0.1:")
	require.Equal(t, 1, strings.Count(stderr, "\n"))
}

func TestHealthcheckReportsAWrongConfigurationInOneLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		give error
		want string
	}{
		{name: "any free port", want: "openhqm: health check: server.port is 0 "},
		{
			name: "several faults", give: &ConfigError{errors.New("configuration: 2 faults\n  a\n  b")},
			want: "openhqm: configuration: 2 faults a b\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program := testProgram()
			program.Listen = func(Settings) (Listener, error) { return Listener{}, tt.give }
			code, _, stderr := run(program, "healthcheck")
			require.Equal(t, exitFailed, code, "Docker reserves 2")
			require.True(t, strings.HasPrefix(stderr, tt.want), stderr)
			require.Equal(t, 1, strings.Count(stderr, "\n"))
		})
	}
}

func TestLocalURLReachesAProcessOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ give, want string }{
		{give: "0.0.0.0", want: "http://127.0.0.1:8000"},
		{give: "::", want: "http://[::1]:8000"},
		{give: "0:0:0:0:0:0:0:0", want: "http://[::1]:8000"},
		{give: "::ffff:0.0.0.0", want: "http://127.0.0.1:8000"},
		{give: "127.0.0.2", want: "http://127.0.0.2:8000"},
		{give: "fe80::1%eth0", want: "http://[fe80::1%25eth0]:8000"},
		{give: "gateway.internal", want: "http://gateway.internal:8000"},
	} {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			got, err := localURL(Listener{Host: tt.give, Port: 8000})
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			_, err = url.Parse(got)
			require.NoError(t, err)
		})
	}
}

func TestHealthcheckFindsAProcessWithTLS(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]tls.ClientAuthType{
		"without a certificate of ours": tls.NoClientCert, "that wants one": tls.RequireAndVerifyClientCert,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: auth}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			port, err := strconv.Atoi(portOf(t, server))
			require.NoError(t, err)
			program := testProgram()
			program.Listen = func(Settings) (Listener, error) { return Listener{Host: "0.0.0.0", Port: port, TLS: true}, nil }
			code, _, stderr := run(program, "healthcheck")
			require.Equal(t, exitOK, code, stderr)
		})
	}
}

// silent is a server that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestHealthcheckGivesUpAfterItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		err := checkLive(silent{}, Listener{Host: "127.0.0.1", Port: 8000})
		require.ErrorContains(t, err, "context deadline exceeded")
		require.Equal(t, 3*time.Second, time.Since(started))
	})
}
