package redis

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// TestShardsOfDifferentQueuesAreDifferent has names that the configuration allows.
func TestShardsOfDifferentQueuesAreDifferent(t *testing.T) {
	t.Parallel()
	keys := make(map[string]string)
	for _, queue := range []string{"a", "a:0", "a:1", "a:1:1", "a-1", "a.1", "a_1"} {
		for _, s := range newShards(queue, 3) {
			require.Empty(t, keys[s.key], "%s is a shard of two queues, one is %s", s.key, queue)
			keys[s.key] = queue
		}
	}
}

// TestARouterThatAcceptsIsNotHeldUpByClose has Close wait for a router that then takes something in.
func TestARouterThatAcceptsIsNotHeldUpByClose(t *testing.T) {
	t.Parallel()
	db := newDB(Options{Queue: "queue", Shards: 1, Now: time.Now}, nil, nil)
	require.True(t, db.enter(), "as Route does")
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		db.calls.Lock() // as Close does
		defer db.calls.Unlock()
		db.closed = true
	}()
	require.Eventually(t, func() bool {
		if db.calls.TryRLock() {
			db.calls.RUnlock()
			return false
		}
		return true
	}, time.Minute, time.Millisecond, "it does not wait")
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		db.accept(ended, []domain.Request{{ID: "1"}}, []int{0})
	}()
	select {
	case <-accepted:
	case <-time.After(time.Minute):
		require.Fail(t, "they wait for each other")
	}
	db.leave()
	<-closing
}
