package redis_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

const (
	skew   = 600 * time.Second
	nearly = time.Second // to a moment, on a busy machine
)

// clock is the clock of a process, which differs from that of Redis.
type clock time.Duration

func (c clock) now() time.Time { return time.Now().Add(time.Duration(c)).UTC() }

func (c clock) open(t *testing.T, url string) *redis.DB {
	t.Helper()
	opts := options(url)
	opts.Now = c.now
	return openDB(t, opts)
}

func (c clock) request() domain.Request {
	r := newRequest()
	r.SubmittedAt = c.now().Truncate(time.Millisecond)
	r.Deadline = r.SubmittedAt.Add(300 * time.Second)
	return r
}

// withEachClock runs a test for processes whose clock is behind and ahead of that of Redis.
func withEachClock(t *testing.T, test func(t *testing.T, c clock)) {
	t.Helper()
	for name, c := range map[string]clock{"behind": clock(-skew), "ahead": clock(skew)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

func TestDelaysAndRetriesAreSpans(t *testing.T) {
	t.Parallel()
	withEachClock(t, func(t *testing.T, c clock) {
		db := c.open(t, startServer(t).url())
		w := consume(t, db)
		const delay = 300 * time.Millisecond
		delayed := c.request()
		delayed.NotBefore = c.now().Add(delay)
		due := time.Now().Add(delay)
		accept(t, db, delayed)

		d := receive(t, w)
		require.False(t, time.Now().Before(due), "before its time")
		require.Equal(t, delayed.ID, d.Request.ID)

		due = time.Now().Add(delay)
		require.NoError(t, w.Finish(t.Context(), []ports.Finish{{ID: delayed.ID, Token: d.Token, Outcome: domain.Outcome{
			Status: domain.Pending, At: c.now(), NextAttemptAt: c.now().Add(delay),
		}}})[0])
		rec, err := db.State(t.Context(), delayed.ID)
		require.NoError(t, err)
		require.WithinDuration(t, due, rec.NextAttemptAt, nearly, "by the clock of redis")
		require.Equal(t, delayed.ID, receive(t, w).Request.ID)
		require.False(t, time.Now().Before(due), "before its time")
	})
}

func TestADeadlineIsASpan(t *testing.T) {
	t.Parallel()
	withEachClock(t, func(t *testing.T, c clock) {
		db := c.open(t, startServer(t).url())
		later, over := c.request(), c.request()
		over.Deadline = c.now().Add(-4500 * time.Millisecond) // nobody works on it, so it ends 5 s after its deadline
		accept(t, db, later)
		accept(t, db, over)

		rec, err := db.Wait(t.Context(), over.ID)
		require.NoError(t, err)
		require.Equal(t, domain.TimedOut, rec.Status)
		rec, err = db.State(t.Context(), later.ID)
		require.NoError(t, err)
		require.Equal(t, domain.Pending, rec.Status)
	})
}

func TestAnIdempotencyKeyLivesForASpan(t *testing.T) {
	t.Parallel()
	withEachClock(t, func(t *testing.T, c clock) {
		s := startServer(t)
		db := c.open(t, s.url())
		r := c.request()
		r.Idempotency = &domain.Idempotency{Key: "k", ExpiresAt: c.now().Add(300 * time.Second)}
		accept(t, db, r)
		left := s.client().PTTL(t.Context(), "{openhqm-requests}:k:0::k").Val()
		require.InDelta(t, (300 * time.Second).Seconds(), left.Seconds(), nearly.Seconds())
	})
}

// TestRecordsHaveTheTimesOfRedis has times that clients see, and their order.
func TestRecordsHaveTheTimesOfRedis(t *testing.T) {
	t.Parallel()
	withEachClock(t, func(t *testing.T, c clock) {
		db := c.open(t, startServer(t).url())
		w, r := consume(t, db), c.request()
		accepted := db.Accept(t.Context(), []domain.Request{r})[0]
		require.NoError(t, accepted.Err)
		require.WithinDuration(t, time.Now(), accepted.Record.SubmittedAt, nearly)
		require.WithinDuration(t, time.Now(), db.Now(), nearly)
		depths, err := db.Depths(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, c.now(), depths.OldestReady, nearly, "an age is computed with our clock")

		d := receive(t, w)
		out := domain.Outcome{Status: domain.Completed, Attempts: 1, At: c.now()}
		require.NoError(t, w.Finish(t.Context(), []ports.Finish{{ID: r.ID, Token: d.Token, Outcome: out}})[0])
		rec, err := db.Find(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, accepted.Record.SubmittedAt, rec.SubmittedAt)
		require.WithinDuration(t, time.Now(), rec.UpdatedAt, nearly)
		require.WithinDuration(t, time.Now(), rec.Result.CompletedAt, nearly)
	})
}

func TestAWorkerHasTheTimesOfItsOwnClock(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	api, worker := clock(skew), clock(-skew)
	accepting, working := api.open(t, s.url()), worker.open(t, s.url())
	native, carried := api.request(), api.request()
	accept(t, accepting, native)
	w := consume(t, working)
	deadline := receive(t, w).Request.Deadline
	require.WithinDuration(t, worker.now().Add(300*time.Second), deadline, nearly)

	create(t, accepting, carried)
	deadline = beginNow(t, w, carried).Request.Deadline
	require.WithinDuration(t, worker.now().Add(300*time.Second), deadline, nearly, "whatever the message says")
}

func TestAMessageArrivesByOurClock(t *testing.T) {
	t.Parallel()
	withEachClock(t, func(t *testing.T, c clock) {
		s := startServer(t)
		in := inlet(t, c.open(t, s.url()), otherStream)
		require.NoError(t, s.client().Do(t.Context(), "XADD", otherStream, "*", "payload", "{}").Err())
		received, err := in.Receive(t.Context(), 1, 1)
		require.NoError(t, err)
		require.WithinDuration(t, c.now(), received[0].Arrived, nearly)
	})
}

func TestClocksThatDifferAreWarnedOfUntilTheyAgree(t *testing.T) {
	t.Parallel()
	var ours atomic.Int64
	var log testkit.LogBuffer
	opts := options(startServer(t).url())
	opts.Logger = log.Logger()
	opts.Now = func() time.Time { return clock(ours.Load()).now() }
	ours.Store(int64(-skew))
	db := openDB(t, opts)

	var degraded ports.Degraded
	require.ErrorAs(t, db.Probe(t.Context()), &degraded)
	require.EqualError(t, degraded, "the clock of redis is 10m0s ahead of the clock of this process")
	require.InDelta(t, skew.Seconds(), db.ClockSkew().Seconds(), nearly.Seconds())

	ours.Store(0)
	require.Eventually(t, func() bool { return db.Probe(t.Context()) == nil }, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "agrees with the clock") },
		patience, 10*time.Millisecond)
	require.Equal(t, 1, strings.Count(log.String(), "WARN"), log.String())
	require.InDelta(t, 0, db.ClockSkew().Seconds(), nearly.Seconds())
}
