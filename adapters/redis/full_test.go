package redis_test

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// fill lets Redis have reached maxmemory from now on.
func fill(t *testing.T, client *goredis.Client) {
	t.Helper()
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	require.ErrorContains(t, client.Set(t.Context(), "more", "1", 0).Err(), "OOM")
}

// TestFullMemoryDoesNotEndLeases has a call that takes longer than a lease.
func TestFullMemoryDoesNotEndLeases(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	opts := options(s.url())
	opts.Lease = time.Second
	db := openDB(t, opts)
	c := consume(t, db)
	accept(t, db, newRequest())
	d := receive(t, c)
	lease := func() float64 {
		return client.ZScore(t.Context(), "{openhqm-requests}:leases", string(d.Request.ID)).Val()
	}
	fill(t, client)
	first := lease()
	require.Eventually(t, func() bool { return lease() > first+float64(opts.Lease.Milliseconds()) },
		patience, 10*time.Millisecond, "the lease ends")
	require.NoError(t, d.Lease.Err(), "it was never lost")
	finish(t, c, d, domain.Completed)
}

// TestFullMemoryDoesNotStopTime has requests whose time comes when memory is full already.
func TestFullMemoryDoesNotStopTime(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	opts := options(s.url())
	opts.Lease = time.Second
	db := openDB(t, opts)
	held, due, late := newRequest(), newRequest(), newRequest()
	mortal, kill := context.WithCancel(t.Context())
	dying, wait := db.NewConsumer(mortal)
	accept(t, db, held)
	require.Equal(t, held.ID, receive(t, dying).Request.ID)
	kill()
	wait()
	due.NotBefore = time.Now().Add(300 * time.Millisecond)
	late.NotBefore, late.Deadline = time.Now().Add(time.Hour), time.Now().Add(-4*time.Second)
	accept(t, db, due)
	accept(t, db, late)
	fill(t, client)
	require.ErrorIs(t, tryAccept(t.Context(), db, newRequest()), ports.ErrFull)

	ended, err := db.Wait(t.Context(), late.ID)
	require.NoError(t, err)
	require.Equal(t, domain.TimedOut, ended.Status)
	c := consume(t, db)
	var handed []domain.ID
	for range 2 {
		d := receive(t, c)
		handed = append(handed, d.Request.ID)
		finish(t, c, d, domain.Completed)
	}
	require.ElementsMatch(t, []domain.ID{held.ID, due.ID}, handed)
}

// TestFullMemoryDoesNotKeepADeadlineFromBeingPutOff has a request that is late while a worker holds it: all that the
// first sweep writes is when to look again.
func TestFullMemoryDoesNotKeepADeadlineFromBeingPutOff(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	db := openDB(t, options(s.url()))
	r := newRequest()
	r.Deadline = time.Now().Add(-4 * time.Second)
	accept(t, db, r)
	receive(t, consume(t, db))
	fill(t, client)
	require.Eventually(t, func() bool {
		look := client.ZScore(t.Context(), "{openhqm-requests}:deadlines", string(r.ID)).Val()
		return look > float64(time.Now().Add(10*time.Second).UnixMilli())
	}, patience, 10*time.Millisecond, "every sweep fails")
}
