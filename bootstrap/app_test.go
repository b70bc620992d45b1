package bootstrap

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, flags map[string]string) configs.Config {
	t.Helper()
	config, _, err := configs.Load(configs.Sources{Flags: flags})
	require.NoError(t, err)
	return config
}

func TestEveryQueueAndRoleHasAWholeGraph(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, configs.QueueTypes(), slices.Collect(maps.Keys(queues)))
	for queue := range queues {
		for role := range roles {
			for backend := range backends {
				t.Run(queue+" "+role+" "+backend, func(t *testing.T) {
					t.Parallel()
					config := load(t, nil)
					// Set behind the loader's back: not every role goes with every queue, but every graph must be whole.
					config.Role, config.Queue.Type = role, queue
					if backend == backendHTTP {
						config.Proxy.Endpoints = map[string]configs.Endpoint{"a": {URL: "http://127.0.0.1:1"}}
					}
					require.NoError(t, fx.ValidateApp(Options(config, "test", slog.New(slog.DiscardHandler))))
				})
			}
		}
	}
}

func TestAnUnknownQueueTypeIsAnError(t *testing.T) {
	t.Parallel()
	config := load(t, nil)
	config.Queue.Type = "carrier-pigeon"
	err := Run(context.Background(), config, "test", slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, `queue.type: "carrier-pigeon" is not built in`)
}

func TestStartsAndStopsWithoutALeak(t *testing.T) {
	t.Parallel()
	config := load(t, map[string]string{
		"server.host": "127.0.0.1", "server.port": "0", "embedded.dir": filepath.Join(t.TempDir(), "data"),
	})
	stop, cancel := context.WithCancel(context.Background())
	lines, write := io.Pipe()
	logger, err := NewLogger(config, write)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		done <- Run(stop, config, "test", logger)
		_ = write.Close()
	}()
	buffer := make([]byte, 4096)
	_, err = lines.Read(buffer) // it logs that it works: it has started
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	cancel()
	require.NoError(t, <-done)
}
