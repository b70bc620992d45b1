package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestBeginSaysWhatToDoWithAMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// arrange brings about the state in which the message of r arrives.
		arrange func(t *testing.T, db *redis.DB, c *redis.Consumer, r *domain.Request)
		want    ports.BegunVerdict
	}{
		{"of other programs", func(*testing.T, *redis.DB, *redis.Consumer, *domain.Request) {}, ports.BegunGo},
		{"of other programs, and delayed", func(_ *testing.T, _ *redis.DB, _ *redis.Consumer, r *domain.Request) {
			r.NotBefore = time.Now().Add(time.Hour)
		}, ports.BegunKeep},
		{"cancelled", func(t *testing.T, db *redis.DB, _ *redis.Consumer, r *domain.Request) {
			t.Helper()
			create(t, db, *r)
			_, err := db.Cancel(t.Context(), r.ID)
			require.NoError(t, err)
		}, ports.BegunDone},
		{"kept in Redis", func(t *testing.T, db *redis.DB, _ *redis.Consumer, r *domain.Request) {
			t.Helper()
			create(t, db, *r)
			keepIt(t, db, *r)
		}, ports.BegunDone},
		{"never carried", func(t *testing.T, db *redis.DB, _ *redis.Consumer, r *domain.Request) {
			t.Helper()
			accept(t, db, *r)
		}, ports.BegunDone},
		{"held by a worker", func(t *testing.T, db *redis.DB, c *redis.Consumer, r *domain.Request) {
			t.Helper()
			create(t, db, *r)
			beginNow(t, c, *r)
		}, ports.BegunKeep},
		{"ended by its deadline", func(t *testing.T, db *redis.DB, _ *redis.Consumer, r *domain.Request) {
			t.Helper()
			r.Deadline = time.Now().Add(-time.Hour)
			create(t, db, *r)
			require.Eventually(t, func() bool {
				rec, err := db.State(t.Context(), r.ID)
				return err == nil && rec.Status == domain.TimedOut
			}, patience, 10*time.Millisecond)
		}, ports.BegunKeep},
		{"FAILED, with its original", func(t *testing.T, db *redis.DB, c *redis.Consumer, r *domain.Request) {
			t.Helper()
			create(t, db, *r)
			finishCarried(t, c, beginNow(t, c, *r), domain.Outcome{Status: domain.Failed})
		}, ports.BegunDone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := options(startServer(t).url())
			opts.Shards = 3
			db := openDB(t, opts)
			c, r := consume(t, db), newRequest()
			tt.arrange(t, db, c, &r)
			require.Equal(t, tt.want, begin(t, c, arrival(r, "another")).Verdict)
		})
	}
}

// TestABeginRepeatedIsTheSameDelivery: its first answer may have been lost.
func TestABeginRepeatedIsTheSameDelivery(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c, r := consume(t, db), newRequest()
	create(t, db, r)
	first, again := beginNow(t, c, r), beginNow(t, c, r)
	require.Equal(t, first.Token, again.Token)
	require.Equal(t, 1, again.Deliveries)
	finishCarried(t, c, again, domain.Outcome{Status: domain.Completed})
}

func TestAForeignMessageKeepsItsAttempts(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c, begun, delayed := consume(t, db), newRequest(), newRequest()
	a := arrival(begun, "try")
	a.Attempts = 2
	require.Equal(t, 2, begin(t, c, a).Delivery.Attempts)

	delayed.NotBefore = time.Now().Add(100 * time.Millisecond).Truncate(time.Millisecond)
	a = arrival(delayed, "try")
	a.Attempts = 3
	require.NoError(t, db.Keep(t.Context(), []ports.Arrival{a})[0])
	rec, err := db.State(t.Context(), delayed.ID)
	require.NoError(t, err)
	require.WithinDuration(t, delayed.NotBefore, rec.NextAttemptAt, 0)
	d := receive(t, c)
	require.Equal(t, delayed.ID, d.Request.ID)
	require.Equal(t, 3, d.Attempts)
}

// TestWhatACrashedWorkerHeldIsTakenOver has a message that comes again, and one that was let go.
func TestWhatACrashedWorkerHeldIsTakenOver(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.Lease = 500 * time.Millisecond
	db := openDB(t, opts)
	life, kill := context.WithCancel(t.Context())
	dying, wait := db.NewConsumer(life)
	again, kept := newRequest(), newRequest()
	create(t, db, again)
	create(t, db, kept)
	lost := []ports.Delivery{beginNow(t, dying, again), beginNow(t, dying, kept)}
	keepIt(t, db, kept)
	require.Equal(t, [3]int64{0, 0, 2}, depths(t, db))
	kill()
	wait()
	require.ErrorIs(t, dying.Begin(t.Context(), []ports.Arrival{arrival(again, "x")})[0].Err, ports.ErrClosed)

	c := consume(t, db)
	d := receive(t, c)
	require.Equal(t, kept.ID, d.Request.ID)
	require.Equal(t, kept.Body, d.Request.Body)
	require.Equal(t, 2, d.Deliveries)
	var begun ports.Begun
	require.Eventually(t, func() bool {
		begun = begin(t, c, arrival(again, "another"))
		return begun.Verdict == ports.BegunGo
	}, patience, 10*time.Millisecond)
	require.Equal(t, 2, begun.Delivery.Deliveries)
	for _, l := range lost {
		require.ErrorIs(t, c.Finish(t.Context(), []ports.Finish{{
			ID: l.Request.ID, Token: l.Token, Outcome: domain.Outcome{Status: domain.Completed, At: time.Now()},
			Original: &l.Request,
		}})[0], ports.ErrLost)
	}
}

// TestAKeptDeliveryStaysWithItsWorker extends its lease and takes its outcome.
func TestAKeptDeliveryStaysWithItsWorker(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.Lease = 500 * time.Millisecond
	db := openDB(t, opts)
	c, other, r := consume(t, db), consume(t, db), newRequest()
	create(t, db, r)
	d := beginNow(t, c, r)
	keepIt(t, db, r)
	ctx, cancel := context.WithTimeout(t.Context(), 3*opts.Lease)
	defer cancel()
	_, err := other.Receive(ctx, ports.Credit{Count: 1, Bytes: 1})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, d.Lease.Err())
	finishCarried(t, c, d, domain.Outcome{Status: domain.Completed})
	require.Equal(t, [3]int64{}, depths(t, db))
}

// TestWhatAWorkerHoldsIsLeftToIt has a delivery that outlives its lease, as it was given, and its deadline.
func TestWhatAWorkerHoldsIsLeftToIt(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	opts := options(server.url())
	opts.Lease = 500 * time.Millisecond
	db, client := openDB(t, opts), server.client()
	c, r := consume(t, db), newRequest()
	r.Deadline = time.Now().Add(-4500 * time.Millisecond)
	create(t, db, r)
	d := beginNow(t, c, r)
	given := client.ZScore(t.Context(), "{openhqm-requests}:lent", string(r.ID)).Val()
	require.Eventually(t, func() bool { // it was extended, and found to be late, which is then put off
		lease := client.ZScore(t.Context(), "{openhqm-requests}:lent", string(r.ID)).Val()
		late := client.ZScore(t.Context(), "{openhqm-requests}:deadlines", string(r.ID)).Val()
		return lease > given && late > given
	}, patience, 10*time.Millisecond)
	require.Equal(t, ports.BegunKeep, begin(t, c, arrival(r, "another")).Verdict)
	require.NoError(t, d.Lease.Err())
	finishCarried(t, c, d, domain.Outcome{Status: domain.Completed})
}
