package redis_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// giveUp finishes a delivery and goes away before the answer comes. Redis runs the script all the same.
func giveUp(t *testing.T, s *server, c *redis.Consumer, f ports.Finish) {
	t.Helper()
	client := s.client()
	require.NoError(t, client.Do(t.Context(), "CLIENT", "PAUSE", "600000", "WRITE").Err())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Finish(ctx, []ports.Finish{f})[0], ports.ErrUnavailable)
	require.NoError(t, client.Do(t.Context(), "CLIENT", "UNPAUSE").Err())
}

func TestAFinishWhoseAnswerWasLostCanBeRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		give domain.Outcome
	}{
		{"final", domain.Outcome{Status: domain.Failed, Attempts: 1}},
		{"a retry", domain.Outcome{Status: domain.Pending, Attempts: 1, NextAttemptAt: time.Now().Add(time.Hour)}},
		{"a release", domain.Outcome{Status: domain.Pending}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			var ended atomic.Int64
			opts := options(s.url())
			opts.Ended = func(domain.Record) { ended.Add(1) }
			db := openDB(t, opts)
			c := consume(t, db)
			accept(t, db, newRequest())
			d := receive(t, c)
			tt.give.At = time.Now()
			f := ports.Finish{ID: d.Request.ID, Token: d.Token, Outcome: tt.give}
			giveUp(t, s, c, f)
			require.Eventually(t, func() bool {
				rec, err := db.State(t.Context(), d.Request.ID)
				return err == nil && rec.Status == tt.give.Status
			}, patience, 10*time.Millisecond, "it was saved")
			before, err := db.Find(t.Context(), d.Request.ID)
			require.NoError(t, err)
			require.NoError(t, c.Finish(t.Context(), []ports.Finish{f})[0])
			after, err := db.Find(t.Context(), d.Request.ID)
			require.NoError(t, err)
			require.Equal(t, before, after, "and nothing was done twice")
			require.ErrorIs(t, c.Finish(t.Context(), []ports.Finish{f})[0], ports.ErrLost, "now it was answered")
			depths, err := db.Depths(t.Context())
			require.NoError(t, err)
			require.Zero(t, depths.Leased)
			if tt.give.Status.Final() {
				require.EqualValues(t, 1, ended.Load())
			}
		})
	}
}

// TestARepeatComesTooLateForTheNextDelivery hands the request to another worker before the repeat.
func TestARepeatComesTooLateForTheNextDelivery(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	c := consume(t, db)
	accept(t, db, newRequest())
	d := receive(t, c)
	f := ports.Finish{
		ID: d.Request.ID, Token: d.Token, Outcome: domain.Outcome{Status: domain.Pending, Attempts: 1, At: time.Now()},
	}
	giveUp(t, s, c, f)
	next := receive(t, consume(t, db))
	require.NoError(t, c.Finish(t.Context(), []ports.Finish{f})[0])
	require.NoError(t, next.Lease.Err())
	finish(t, c, next, domain.Completed)
	rec, err := db.State(t.Context(), d.Request.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, rec.Status)
}

func TestAFinishThatReplicasDidNotConfirmCanBeRepeated(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	replica := startReplica(t, master)
	var ended atomic.Int64
	opts := options(master.url())
	opts.WaitReplicas = 1
	opts.Ended = func(domain.Record) { ended.Add(1) }
	db := openDB(t, opts)
	c := consume(t, db)
	require.Eventually(t, func() bool { return tryAccept(t.Context(), db, newRequest()) == nil },
		patience, 10*time.Millisecond, "the replica never confirms")
	d := receive(t, c)
	f := ports.Finish{
		ID: d.Request.ID, Token: d.Token, Outcome: domain.Outcome{Status: domain.Completed, Attempts: 1, At: time.Now()},
	}
	require.NoError(t, replica.stop())
	var err error
	for range 2 {
		require.ErrorIs(t, c.Finish(t.Context(), []ports.Finish{f})[0], ports.ErrUnavailable,
			"a repeat is confirmed no sooner")
	}
	require.NoError(t, replica.start())
	require.Eventually(t, func() bool {
		err = c.Finish(t.Context(), []ports.Finish{f})[0]
		return !errors.Is(err, ports.ErrUnavailable)
	}, patience, 10*time.Millisecond)
	require.NoError(t, err)
	require.EqualValues(t, 1, ended.Load())
}
