package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestARedisThatComesBackEmptyIsUsedAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	c := consume(t, db)
	accept(t, db, newRequest())
	receive(t, c)
	received := make(chan ports.Delivery, 1)
	go func() {
		deliveries, err := c.Receive(t.Context(), ports.Credit{Count: 1, Bytes: 1})
		if err == nil {
			received <- deliveries[0]
		}
	}()
	require.NoError(t, s.client().FlushAll(t.Context()).Err())
	require.NoError(t, s.client().ScriptFlush(t.Context()).Err())
	accept(t, db, newRequest())
	select {
	case d := <-received:
		finish(t, c, d, domain.Completed)
	case <-time.After(patience):
		require.Fail(t, "what was accepted afterwards never comes")
	}
}

func TestAGroupThatIsGoneIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	accept(t, db, newRequest())
	stream := "{openhqm-requests}:q:low:orders"
	require.NoError(t, s.client().XGroupDestroy(t.Context(), stream, "openhqm").Err())
	receive(t, consume(t, db))
}

// TestLeasesOutliveTheirGroup has a worker that died before the group was gone.
func TestLeasesOutliveTheirGroup(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Lease = 100 * time.Millisecond
	db := openDB(t, opts)
	dying, kill := context.WithCancel(t.Context())
	dead, wait := db.NewConsumer(dying)
	accept(t, db, newRequest())
	held := receive(t, dead)
	kill()
	wait()
	stream := "{openhqm-requests}:q:low:orders"
	require.NoError(t, s.client().XGroupDestroy(t.Context(), stream, "openhqm").Err())
	require.Eventually(t, func() bool {
		over := s.client().ZScore(t.Context(), "{openhqm-requests}:leases", string(held.Request.ID)).Val()
		return over > 0 && over < float64(time.Now().UnixMilli())
	}, patience, 10*time.Millisecond)
	c := consume(t, db)
	again := receive(t, c)
	require.Equal(t, held.Request.ID, again.Request.ID)
	require.Equal(t, 2, again.Deliveries)
	finish(t, c, again, domain.Completed)
	require.Zero(t, s.client().XLen(t.Context(), stream).Val())
}

func TestAnOutageIsLoggedWithTwoLines(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	opts := options(s.url())
	opts.Logger = log.Logger()
	db := openDB(t, opts)
	c := consume(t, db)
	received := make(chan error, 1)
	go func() {
		_, err := c.Receive(t.Context(), ports.Credit{Count: 1, Bytes: 1})
		received <- err
	}()
	require.NoError(t, s.stop())
	for range 20 {
		require.ErrorIs(t, tryAccept(t.Context(), db, newRequest()), ports.ErrUnavailable)
	}
	require.NoError(t, s.start())
	require.Eventually(t, func() bool { return tryAccept(t.Context(), db, newRequest()) == nil },
		patience, 10*time.Millisecond)
	require.NoError(t, <-received)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "broker available again") },
		patience, 10*time.Millisecond)
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
}

func TestMemoryThatIsFullRefusesButWorksOff(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--maxmemory", "20mb", "--maxmemory-policy", "noeviction")
	db := openDB(t, options(s.url()))
	large := newRequest()
	large.Body = make([]byte, 1<<20)
	var err error
	accepted := 0
	for ; err == nil; accepted++ {
		require.Less(t, accepted, 100, "it is never full")
		large.ID = newRequest().ID
		err = tryAccept(t.Context(), db, large)
	}
	require.ErrorIs(t, err, ports.ErrFull)
	require.ErrorContains(t, err, "maxmemory")
	c := consume(t, openDB(t, options(s.url()))) // as after a restart
	for range accepted - 1 {
		finish(t, c, receive(t, c), domain.Completed)
	}
	accept(t, db, large)
}

func TestTooFewReplicasConfirmNothing(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	replica := startReplica(t, master)
	opts := options(master.url())
	opts.WaitReplicas = 1
	db := openDB(t, opts)
	require.Eventually(t, func() bool { return tryAccept(t.Context(), db, newRequest()) == nil },
		patience, 10*time.Millisecond, "the replica never confirms")
	require.NoError(t, replica.stop())
	err := tryAccept(t.Context(), db, newRequest())
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.ErrorContains(t, err, "0 of 1 replicas")
}

// TestAStalledRedisHoldsNobodyUp stops the server's answers, not the server.
func TestAStalledRedisHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	c := consume(t, db)
	require.NoError(t, s.client().Do(t.Context(), "CLIENT", "PAUSE", "600000", "ALL").Err())
	brief := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	_, err := db.State(brief(), "1")
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.ErrorIs(t, tryAccept(brief(), db, newRequest()), ports.ErrUnavailable)
	require.ErrorIs(t, db.Probe(brief()), ports.ErrUnavailable)
	_, err = c.Receive(brief(), ports.Credit{Count: 1, Bytes: 1})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, ports.ErrUnavailable, "Receive goes on trying")
}
