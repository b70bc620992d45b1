package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

const aliveKey = "{openhqm-requests}:alive"

// TestWhatRanOutInAnOutageIsLeftToItsHolder has a worker that extends nothing, and looks at all who could take over
// what it holds.
func TestWhatRanOutInAnOutageIsLeftToItsHolder(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client, db := s.client(), openDB(t, options(s.url()))
	life, kill := context.WithCancel(t.Context())
	holder, wait := db.NewConsumer(life)
	native, carried, late := newRequest(), newRequest(), newRequest()
	accept(t, db, native)
	held := receive(t, holder)
	create(t, db, carried)
	beginNow(t, holder, carried)
	accept(t, db, late)
	overdue := receive(t, holder)
	kill()
	wait()
	runOut := func(pipe goredis.Pipeliner) error {
		for _, id := range []domain.ID{native.ID, late.ID} {
			pipe.ZAdd(t.Context(), "{openhqm-requests}:leases", goredis.Z{Score: 1, Member: string(id)})
		}
		pipe.ZAdd(t.Context(), "{openhqm-requests}:lent", goredis.Z{Score: 1, Member: string(carried.ID)})
		pipe.ZAdd(t.Context(), "{openhqm-requests}:deadlines", goredis.Z{Score: 1, Member: string(late.ID)})
		pipe.HSet(t.Context(), aliveKey, "at", "1", "grace", "0") // nobody has swept since then
		return nil
	}
	_, err := client.TxPipelined(t.Context(), runOut)
	require.NoError(t, err)

	w := consume(t, db)
	requireNothingToTake(t, w)
	require.Equal(t, ports.BegunKeep, begin(t, w, arrival(carried, "another")).Verdict)
	require.Zero(t, endLost(t, db, time.Now().Add(time.Hour)))
	require.Eventually(t, func() bool { // a sweep has put it off
		return client.ZScore(t.Context(), "{openhqm-requests}:deadlines", string(late.ID)).Val() > 1
	}, patience, 10*time.Millisecond)
	requireState(t, db, late.ID, domain.Processing)
	finish(t, holder, held, domain.Completed)
	finish(t, holder, overdue, domain.Completed)

	require.NoError(t, client.HSet(t.Context(), aliveKey, "grace", "0").Err())
	require.Equal(t, ports.BegunGo, begin(t, w, arrival(carried, "another")).Verdict, "that time is over")
}

// TestALeaseOutlivesAnOutage has a Redis that is stopped for longer than the lease, and a worker that waits for work.
func TestALeaseOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Lease = time.Second
	db := openDB(t, opts)
	c, other := consume(t, db), consume(t, db)
	accept(t, db, newRequest())
	d := receive(t, c)
	require.NoError(t, s.client().Do(t.Context(), "CLIENT", "PAUSE", "3000", "ALL").Err())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := other.Receive(ctx, ports.Credit{Count: 1, Bytes: 1})
	require.ErrorIs(t, err, context.DeadlineExceeded, "its holder lives")
	require.NoError(t, d.Lease.Err())
	finish(t, c, d, domain.Completed)
}

func TestARedisThatLosesItsDataIsReported(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	var log testkit.LogBuffer
	opts := options(s.url())
	opts.Logger, opts.Lease = log.Logger(), time.Second
	db := openDB(t, opts)
	reported := func(text string) func() bool {
		return func() bool { return strings.Contains(log.String(), text) }
	}
	for range 3 {
		accept(t, db, newRequest())
	}
	round := func() int64 {
		n, err := client.HGet(t.Context(), aliveKey, "round").Int64()
		require.NoError(t, err)
		return n
	}
	began := round()
	require.Eventually(t, func() bool { return round() > began+1 }, patience, 10*time.Millisecond, "it is known")

	require.NoError(t, client.FlushAll(t.Context()).Err())
	require.Eventually(t, reported("redis has lost all of its data"), patience, 10*time.Millisecond)
	require.Contains(t, log.String(), "unfinished=3")

	require.NoError(t, client.HSet(t.Context(), aliveKey, "round", "-1").Err())
	require.Eventually(t, reported("redis has lost its latest data"), patience, 10*time.Millisecond)
	began = round()
	require.Eventually(t, func() bool { return round() > began+1 }, patience, 10*time.Millisecond)
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
}
