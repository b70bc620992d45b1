package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// Somebody deletes the write-ahead log after a crash. That is not a start without the requests that were in it.
func TestALostLogIsSaidAndCanBeRepaired(t *testing.T) {
	t.Parallel()
	const requests = 20
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+"embedded: {min_free: 0B}\n")
	process := gateway.Start()
	var last string
	for n := range requests {
		last = process.Client().Submit(fmt.Sprintf(`{"payload": %d, "metadata": {"delay": "1h"}}`, n)).CorrelationID
	}
	process.Kill()
	data := filepath.Join(gateway.Dir, "data")
	require.Zero(t, gateway.Run("data", "check", data).Code)
	require.Zero(t, gateway.Run("data", "backup", data, filepath.Join(gateway.Dir, "backup")).Code)
	logs, err := filepath.Glob(filepath.Join(data, "db", "*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, log := range logs {
		require.NoError(t, os.Remove(log))
	}

	lost := fmt.Sprintf("at least %d accepted requests", requests)
	start := gateway.Run()
	require.Equal(t, 1, start.Code)
	for _, want := range []string{lost, last, "embedded.repair", filepath.Join("data", "db")} {
		require.Contains(t, start.Stderr, want)
	}
	check := gateway.Run("data", "check", data)
	require.Equal(t, 1, check.Code)
	require.Contains(t, check.Stdout, lost)

	repair := gateway.Run("data", "repair", data)
	require.Zero(t, repair.Code, repair.Stderr)
	require.Contains(t, repair.Stderr, lost)
	client := gateway.Start().Client()
	id := client.Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "1", string(client.Result(id).Result))

	backup := gateway.Twin()
	require.NoError(t, os.Rename(filepath.Join(gateway.Dir, "backup"), filepath.Join(backup.Dir, "data")))
	require.Equal(t, "PENDING", backup.Start().Client().Status(last).Status)
}

func TestABackupOfARunningProcessCanBeStarted(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+"embedded: {min_free: 0B, backup_dir: backups}\n")
	process := gateway.Start()
	done := process.Client().Submit(`{"payload": "done"}`).CorrelationID
	require.Equal(t, `"done"`, string(process.Client().Result(done).Result))
	waiting := process.Client().Submit(`{"payload": "waiting", "metadata": {"delay": "1h"}}`).CorrelationID

	backup := gateway.Run("data", "backup", "--live", "--json", "--url", "http://"+process.Client().Address)
	require.Zero(t, backup.Code, backup.Stderr)
	var made struct {
		Path string `json:"path"`
	}
	require.NoError(t, json.Unmarshal([]byte(backup.Stdout), &made))
	after := process.Client().Submit(`{"payload": "after", "metadata": {"delay": "1h"}}`).CorrelationID

	restored := gateway.Twin()
	require.NoError(t, os.Rename(filepath.Join(gateway.Dir, made.Path), filepath.Join(restored.Dir, "data")))
	client := restored.Start().Client()
	require.Equal(t, `"done"`, string(client.Result(done).Result))
	require.Equal(t, "PENDING", client.Status(waiting).Status)
	require.Equal(t, http.StatusNotFound, client.Get("/api/v1/status/"+after).Code)
	require.Equal(t, "PENDING", process.Client().Status(after).Status)
}
