package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/configs"
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

// listening is the configuration of a process that listens on a port of all addresses.
func listening(port string) configs.Sources {
	return configs.Sources{Environ: []string{"OPENHQM_SERVER_HOST=0.0.0.0", "OPENHQM_SERVER_PORT=" + port}}
}

func TestHealthcheckIsWellWhenTheProcessIsAlive(t *testing.T) {
	t.Parallel()
	port, asked := gateway(t, http.StatusOK)
	var stderr bytes.Buffer
	require.Equal(t, exitOK, healthcheck(listening(port), &stderr))
	require.Equal(t, "GET /health/live", <-asked)
	require.Empty(t, stderr.String())
}

func TestHealthcheckFailsOnAnyOtherAnswer(t *testing.T) {
	t.Parallel()
	for _, give := range []int{
		http.StatusNoContent, http.StatusFound, http.StatusNotFound, http.StatusServiceUnavailable,
	} {
		t.Run(http.StatusText(give), func(t *testing.T) {
			t.Parallel()
			port, asked := gateway(t, give)
			var stderr bytes.Buffer
			require.Equal(t, exitFailed, healthcheck(listening(port), &stderr))
			require.Regexp(t,
				`^openhqm: health check: GET http://127\.0\.0\.1:\d+/health/live: status \d{3}\n$`, stderr.String())
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
	var stderr bytes.Buffer
	require.Equal(t, exitFailed, healthcheck(listening(port), &stderr))
	require.Contains(t, stderr.String(), "/health/live: dial tcp 127.0.0.1:")
	require.Equal(t, 1, strings.Count(stderr.String(), "\n"))
}

func TestHealthcheckTellsInOneLineWhatIsWrongWithTheConfiguration(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give []string
		want string
	}{
		{"any free port", []string{"OPENHQM_SERVER_PORT=0"}, "openhqm: health check: server.port is 0, "},
		{
			"several faults",
			[]string{"OPENHQM_SERVER_PORT=http", "OPENHQM_ROLE=boss"},
			"openhqm: configuration: 2 faults OPENHQM_",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			require.Equal(t, exitFailed, healthcheck(configs.Sources{Environ: tt.give}, &stderr))
			require.True(t, strings.HasPrefix(stderr.String(), tt.want), stderr.String())
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"))
		})
	}
}

func TestHealthcheckAsksWhereTheProcessListens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ give, want string }{
		{give: "0.0.0.0", want: "http://127.0.0.1:8000/health/live"},
		{give: "::", want: "http://[::1]:8000/health/live"},
		{give: "0:0:0:0:0:0:0:0", want: "http://[::1]:8000/health/live"},
		{give: "::ffff:0.0.0.0", want: "http://127.0.0.1:8000/health/live"},
		{give: "127.0.0.2", want: "http://127.0.0.2:8000/health/live"},
		{give: "fe80::1%eth0", want: "http://[fe80::1%25eth0]:8000/health/live"},
		{give: "gateway.internal", want: "http://gateway.internal:8000/health/live"},
	} {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			got, err := liveURL(configs.Server{Host: tt.give, Port: 8000})
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			_, err = url.Parse(got)
			require.NoError(t, err)
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
		err := askLive(silent{}, configs.Server{Host: "127.0.0.1", Port: 8000})
		require.ErrorContains(t, err, "context deadline exceeded")
		require.Equal(t, 3*time.Second, time.Since(started))
	})
}

func TestHealthcheckIsASubcommandWithTheConfigurationOfTheProcess(t *testing.T) {
	t.Parallel()
	port, asked := gateway(t, http.StatusOK)
	file := filepath.Join(t.TempDir(), "openhqm.yaml")
	require.NoError(t, os.WriteFile(file, []byte("server: {host: 127.0.0.1, port: "+port+"}"), 0o600))
	var stderr bytes.Buffer
	require.Equal(t, exitOK, run([]string{"healthcheck", "--config", file}, io.Discard, &stderr), stderr.String())
	require.Equal(t, "GET /health/live", <-asked)

	require.Equal(t, exitFailed, run([]string{"healthcheck", "--config", "/nowhere.yaml"}, io.Discard, &stderr))
	require.Contains(t, stderr.String(), "/nowhere.yaml")
}
