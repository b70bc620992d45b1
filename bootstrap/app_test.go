package bootstrap

import (
	"context"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, flags map[string]string) configs.Config {
	t.Helper()
	config, _, err := configs.Load(configs.Sources{Flags: flags})
	require.NoError(t, err)
	return config
}

// newTestLog returns a log that writes to w. It is closed at the end of the test.
func newTestLog(t *testing.T, config configs.Config, w io.Writer) *Log {
	t.Helper()
	writer := telemetry.NewLogWriter(w)
	t.Cleanup(func() { writer.Close(context.Background()) })
	log, err := NewLog(config, writer)
	require.NoError(t, err)
	return log
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
					log := newTestLog(t, config, io.Discard)
					require.NoError(t, fx.ValidateApp(Options(t.Context(), config, "test", log, Reloads{}, new(front))))
				})
			}
		}
	}
}

func TestAnUnknownQueueTypeIsAnError(t *testing.T) {
	t.Parallel()
	config := load(t, nil)
	config.Queue.Type = "carrier-pigeon"
	err := Run(context.Background(), config, "test", newTestLog(t, config, io.Discard), Reloads{})
	require.ErrorContains(t, err, `queue.type: "carrier-pigeon" is not built in`)
}

func TestStartsAndStopsWithoutALeak(t *testing.T) {
	t.Parallel()
	config := load(t, map[string]string{
		"server.host": "127.0.0.1", "server.port": "0", "embedded.dir": filepath.Join(t.TempDir(), "data"),
	})
	stop, cancel := context.WithCancel(context.Background())
	lines, write := io.Pipe()
	logger := newTestLog(t, config, write)
	done := make(chan error, 1)
	go func() {
		done <- Run(stop, config, "test", logger, Reloads{})
		_ = write.Close()
	}()
	buffer := make([]byte, 4096)
	_, err := lines.Read(buffer) // it logs that it works: it has started
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	cancel()
	require.NoError(t, <-done)
}
