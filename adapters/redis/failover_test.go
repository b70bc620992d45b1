package redis_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// startSentinel starts one Sentinel that watches a master named main, and returns its URL.
func startSentinel(t *testing.T, master *server) string {
	t.Helper()
	host, port, err := net.SplitHostPort(master.address)
	require.NoError(t, err)
	dir := t.TempDir()
	config := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\ndir %s\nsentinel monitor main %s %s 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n", dir, host, port)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	return launch(t, []string{config, "--sentinel"}).url() + "?master_name=main"
}

func TestAFailoverLosesNothingThatReplicasConfirmed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes seconds until a master is taken for dead")
	}
	master := startServer(t)
	const replicas = 2
	for range replicas {
		startReplica(t, master)
	}
	opts := options(startSentinel(t, master))
	opts.WaitReplicas = 1
	db := openDB(t, opts)
	require.Eventually(t, func() bool {
		known := master.client().Info(t.Context(), "replication").Val()
		return tryAccept(t.Context(), db, newRequest()) == nil && strings.Count(known, "state=online") == replicas
	}, patience, 10*time.Millisecond, "the replicas never follow")

	var accepted []domain.ID
	submit := func() error {
		r := newRequest()
		err := tryAccept(t.Context(), db, r)
		if err == nil {
			accepted = append(accepted, r.ID)
		}
		return err
	}
	for range 100 {
		require.NoError(t, submit())
	}
	require.NoError(t, master.stop())
	require.Eventually(t, func() bool { return submit() == nil }, patience, 10*time.Millisecond,
		"the new master never takes anything")
	// go-redis has other connections for pipelines, and notices their loss up to a second later.
	require.Eventually(t, func() bool {
		_, err := db.State(t.Context(), accepted[0])
		return !errors.Is(err, ports.ErrUnavailable)
	}, patience, 10*time.Millisecond, "the new master is never asked")
	for _, id := range accepted {
		rec, err := db.State(t.Context(), id)
		require.NoError(t, err, "%s was accepted", id)
		require.Equal(t, domain.Pending, rec.Status)
	}
	c := consume(t, db)
	finish(t, c, receive(t, c), domain.Completed)
}
