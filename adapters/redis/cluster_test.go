package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
)

const slots = 16384 // of a Cluster, by its specification

// startCluster starts three masters that share the slots, and returns the URL of their Cluster.
func startCluster(tb testing.TB) string {
	tb.Helper()
	_, url := startMasters(tb)
	return url
}

// startMasters is startCluster and also returns the masters, by their slots.
func startMasters(tb testing.TB, args ...string) (nodes []*server, url string) {
	tb.Helper()
	const masters = 3
	var clients []*goredis.Client
	for i := range masters {
		s := startServer(tb, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "5000"}, args...)...)
		nodes = append(nodes, s)
		client := goredis.NewClient(&goredis.Options{Addr: s.address})
		defer client.Close()
		require.NoError(tb, client.ClusterAddSlotsRange(tb.Context(), slots*i/masters, slots*(i+1)/masters-1).Err())
		require.NoError(tb, client.Do(tb.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		host, port, err := net.SplitHostPort(s.address)
		require.NoError(tb, err)
		for _, other := range clients {
			require.NoError(tb, other.ClusterMeet(tb.Context(), host, port).Err())
		}
		clients = append(clients, client)
		if i == 0 {
			url = s.url() + "?addr=" + s.address
		} else {
			url += "&addr=" + s.address
		}
	}
	require.Eventually(tb, func() bool {
		for _, client := range clients {
			info, err := client.ClusterInfo(tb.Context()).Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") ||
				!strings.Contains(info, fmt.Sprintf("cluster_slots_assigned:%d", slots)) ||
				!strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", masters)) {
				return false
			}
		}
		return true
	}, time.Minute, 20*time.Millisecond, "the nodes never become a Cluster")
	return nodes, url
}

// TestConformanceOnCluster runs the suite over three shards on three masters. Its cases share them, so none may stop
// them: the cases for that are run with a server of their own.
func TestConformanceOnCluster(t *testing.T) { //nolint:paralleltest // as TestConformance
	if testing.Short() {
		t.Skip("the suite runs on one server")
	}
	url := startCluster(t)
	var queues atomic.Int64
	conformance.Run(t, func(tb testing.TB, settings conformance.Settings) conformance.Harness {
		tb.Helper()
		name := "queue-" + strconv.FormatInt(queues.Add(1), 10)
		return conformance.Harness{Open: func() (conformance.Instance, error) {
			return open(context.WithoutCancel(tb.Context()), redis.Options{
				URL: url, Queue: name, Shards: 3,
				Lease: settings.Lease, TTL: settings.TTL, DeadLetterTTL: settings.DeadLetterTTL,
				Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			})
		}}
	})
}

func TestTooFewReplicasOfAClusterConfirmNothing(t *testing.T) {
	t.Parallel()
	opts := options(startCluster(t))
	opts.Shards = 3
	accept(t, openDB(t, opts), newRequest())
	opts.WaitReplicas = 1
	db := openDB(t, opts)
	for _, answer := range db.Accept(t.Context(), []domain.Request{newRequest(), newRequest(), newRequest()}) {
		require.ErrorIs(t, answer.Err, ports.ErrUnavailable)
		require.ErrorContains(t, answer.Err, "0 of 1 replicas")
	}
}
