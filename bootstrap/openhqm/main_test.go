package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/adapters/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runWith runs the program with a configuration file of this content.
func runWith(t *testing.T, config string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openhqm.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	var out, err bytes.Buffer
	log := telemetry.NewLogWriter(&err)
	code = program(log).Run(append(args, "--config", file), &out, log)
	log.Close(t.Context())
	return code, out.String(), err.String()
}

func TestClientsFindTheAPIByTheConfiguration(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.RequestURI
		_, _ = w.Write([]byte(`{"dead_letters":[]}`))
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	config := "server: {host: 0.0.0.0, port: " + port + "}"

	code, _, stderr := runWith(t, config, "healthcheck")
	require.Zero(t, code, stderr)
	require.Equal(t, "GET /health/live", <-asked)

	code, stdout, stderr := runWith(t, config, "dlq", "list", "--json")
	require.Zero(t, code, stderr)
	require.Equal(t, "GET /api/v1/dead-letters?limit=100", <-asked)
	require.Equal(t, `{"dead_letters":[]}`+"\n", stdout)
}

func TestTheConfigurationInEffectIsPrinted(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runWith(t, "server: {port: 8001}\nrole: api", "config", "--role=all", "--queue-type", "redis")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "role: all\n")
	require.Contains(t, stdout, "type: redis\n")
	require.Contains(t, stdout, "port: 8001\n")
}

func TestAWrongConfigurationIsAWrongCommandLineExceptForDocker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give []string
		want int
	}{
		{nil, 2},
		{[]string{"--role="}, 2},
		{[]string{"config"}, 2},
		{[]string{"dlq", "list"}, 2},
		{[]string{"healthcheck"}, 1},
	} {
		code, stdout, stderr := runWith(t, "server: {port: http}", tt.give...)
		require.Equal(t, tt.want, code, tt.give)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "server.port")
	}
}

// A client that sends a key must not be led elsewhere by a file, and needs no other part of the configuration.
func TestDeadLettersNeedNoDotenvFile(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.RequestURI
		_, _ = w.Write([]byte(`{"dead_letters":[]}`))
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "openhqm.yaml")
	require.NoError(t, os.WriteFile(file, []byte("server: {port: "+port+"}\nworker: {count: '${COUNT}'}\n"), 0o600))
	env := filepath.Join(dir, ".env")
	require.NoError(t, os.WriteFile(env, []byte("COUNT=7\nOPENHQM_SERVER_PORT=1\n"), 0o600))
	run := func(args ...string) (code int, stdout, stderr string) {
		var out, errors bytes.Buffer
		log := telemetry.NewLogWriter(&errors)
		code = program(log).Run(append(args, "--config", file), &out, log)
		log.Close(t.Context())
		return code, out.String(), errors.String()
	}

	code, _, stderr := run("dlq", "list")
	require.Zero(t, code, stderr)
	require.Equal(t, "/api/v1/dead-letters?limit=100", <-asked)

	code, stdout, stderr := run("config")
	require.Zero(t, code, stderr)
	require.Equal(t, "openhqm: read variables from "+env+"\n", stderr)
	require.Contains(t, stdout, "  port: 1\n")
	require.Contains(t, stdout, "  count: 7\n")

	other := filepath.Join(dir, "other.env")
	require.NoError(t, os.WriteFile(other, []byte("COUNT=8\n"), 0o600))
	code, stdout, stderr = run("config", "--env-file", other)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "  count: 8\n")
	require.Contains(t, stdout, "  port: "+port+"\n")
}
