package redis_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestFinishedWorkLeavesNoMemory(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.TTL, opts.DeadLetterTTL = time.Millisecond, time.Millisecond
	db := openDB(t, opts)
	c := consume(t, db)
	for i := range 20 {
		r := newRequest()
		r.Idempotency = &domain.Idempotency{Key: string(r.ID), ExpiresAt: time.Now().Add(50 * time.Millisecond)}
		accept(t, db, r)
		finish(t, c, receive(t, c), []domain.Status{domain.Completed, domain.Failed, domain.TimedOut}[i%3])
	}
	client := s.client()
	// A note of the last sweep, the names of endpoints and their use, streams without entries, the number of shards.
	want := []string{
		"{openhqm-requests}:alive", "{openhqm-requests}:endpoints",
		"{openhqm-requests}:q:high:orders", "{openhqm-requests}:q:low:orders",
		"{openhqm-requests}:shards", "{openhqm-requests}:used",
	}
	require.Eventually(t, func() bool {
		keys, err := client.Keys(t.Context(), "*").Result()
		require.NoError(t, err)
		keys = slices.DeleteFunc(keys, func(key string) bool { return strings.Contains(key, ":bell:") })
		slices.Sort(keys)
		return slices.Equal(want, keys)
	}, patience, 10*time.Millisecond)
	for _, stream := range want[2:4] {
		require.Zero(t, client.XLen(t.Context(), stream).Val())
		require.Zero(t, client.XPending(t.Context(), stream, "openhqm").Val().Count)
	}
}

func TestAnIdleWorkerIsQuiet(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, retaining(s.url()))
	c := consume(t, db)
	workOff(t, db, ports.NoticeResult)
	workOff(t, db, ports.NoticeDeadLetter)
	settleAll(t, inlet(t, db, plainStream))
	settleAll(t, inlet(t, db, otherStream))
	accept(t, db, newRequest())
	receive(t, c)
	client := s.client()
	calls := func() int {
		info, err := client.InfoMap(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		n := 0
		for name, stats := range info["Commandstats"] {
			switch name { // what clients send, and not the scripts
			case "cmdstat_evalsha", "cmdstat_blpop", "cmdstat_lpush", "cmdstat_xreadgroup", "cmdstat_xautoclaim", "cmdstat_exec":
				n += atoi(t, strings.TrimPrefix(strings.Split(stats, ",")[0], "calls="))
			}
		}
		return n
	}
	before := calls()
	const seconds = 3
	ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
	defer cancel()
	_, err := c.Receive(ctx, ports.Credit{Count: 1, Bytes: 1})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	// Of each loop two a second: it looks for work, sweeps, looks for notices, and reads two streams.
	require.LessOrEqual(t, calls()-before, 10*(seconds+1), "a handful of commands a second")
}

// TestWorkOfANewEndpointWakes accepts for endpoints that no waiting worker has heard of.
func TestWorkOfANewEndpointWakes(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c := consume(t, db)
	var accepting sync.WaitGroup
	defer accepting.Wait()
	for _, endpoint := range []string{"a", "b", "c", ""} {
		r := newRequest()
		r.Endpoint = endpoint
		accepting.Go(func() { _ = tryAccept(t.Context(), db, r) })
		require.Equal(t, endpoint, receive(t, c).Request.Endpoint)
	}
}

func TestDepthIsLimited(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.MaxDepth = 2
	db := openDB(t, opts)
	c := consume(t, db)
	delayed := newRequest()
	delayed.NotBefore = time.Now().Add(time.Minute)
	accept(t, db, delayed)
	accept(t, db, newRequest())
	d := receive(t, c)
	require.ErrorIs(t, tryAccept(t.Context(), db, newRequest()), ports.ErrFull, "one is delayed and one begun")
	finish(t, c, d, domain.Completed)
	accept(t, db, newRequest())
}

func TestARequestSentAgainIsOneRequest(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	r := newRequest()
	accept(t, db, r)
	again := db.Accept(t.Context(), []domain.Request{r})[0]
	require.NoError(t, again.Err)
	require.Equal(t, ports.AcceptedSame, again.Outcome)
	require.Equal(t, r.ID, again.Record.ID)
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, depths.Ready)
}

func TestEndedIsCalledOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var mu sync.Mutex
	ended := make(map[domain.ID][]domain.Record)
	opts := options(s.url())
	opts.Ended = func(rec domain.Record) {
		mu.Lock()
		defer mu.Unlock()
		ended[rec.ID] = append(ended[rec.ID], rec)
	}
	db, beside := openDB(t, opts), openDB(t, opts) // both sweep
	c := consume(t, db)
	finished, cancelled, late := newRequest(), newRequest(), newRequest()
	late.Deadline = time.Now().Add(-time.Minute)
	accept(t, db, finished)
	finish(t, c, receive(t, c), domain.Failed)
	accept(t, db, cancelled)
	for range 2 {
		_, err := beside.Cancel(t.Context(), cancelled.ID)
		require.NoError(t, err)
	}
	accept(t, db, late)
	for want, id := range map[domain.Status]domain.ID{
		domain.Failed: finished.ID, domain.Cancelled: cancelled.ID, domain.TimedOut: late.ID,
	} {
		rec, err := db.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, rec.Status)
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(ended[id]) > 0
		}, patience, time.Millisecond)
	}
	require.NoError(t, db.Close())
	require.NoError(t, beside.Close())
	for id, records := range ended {
		require.Len(t, records, 1, id)
		require.NotNil(t, records[0].Result)
		require.Nil(t, records[0].Result.Response)
		require.Equal(t, "orders", records[0].Endpoint)
		require.False(t, records[0].SubmittedAt.IsZero())
		require.False(t, records[0].Result.CompletedAt.IsZero())
	}
}

func TestDamagedRequestsBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	c := consume(t, db)
	damaged, whole := newRequest(), newRequest()
	accept(t, db, damaged)
	key := "{openhqm-requests}:r:" + string(damaged.ID)
	require.NoError(t, s.client().HSet(t.Context(), key, "request", "\xff\xff\xff").Err())
	accept(t, db, whole)
	require.Equal(t, whole.ID, receive(t, c).Request.ID)
	letter, err := db.DeadLetters().Find(t.Context(), damaged.ID)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonUndecodable, letter.Reason)
	require.Nil(t, letter.Request)
}

// TestWhatWasDeletedByHandHoldsNothingUp deletes records of ready and of begun requests.
func TestWhatWasDeletedByHandHoldsNothingUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Lease = 100 * time.Millisecond
	db := openDB(t, opts)
	dying, kill := context.WithCancel(t.Context())
	first, wait := db.NewConsumer(dying)
	ready, begun, whole := newRequest(), newRequest(), newRequest()
	accept(t, db, begun)
	require.Equal(t, begun.ID, receive(t, first).Request.ID)
	kill()
	wait()
	accept(t, db, ready)
	for _, id := range []domain.ID{ready.ID, begun.ID} {
		require.NoError(t, s.client().Del(t.Context(), "{openhqm-requests}:r:"+string(id)).Err())
	}
	accept(t, db, whole)
	require.Equal(t, whole.ID, receive(t, consume(t, db)).Request.ID)
}

func TestDeadLettersOfAllShardsAreOneList(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.Shards = 4
	db := openDB(t, opts)
	c := consume(t, db)
	const n = 250
	for range n {
		accept(t, db, newRequest())
	}
	for range n {
		finish(t, c, receive(t, c), domain.Failed)
	}
	var whole []domain.DeadLetter
	filter := ports.DeadLetterFilter{Limit: 7}
	for {
		page, err := db.DeadLetters().List(t.Context(), filter)
		require.NoError(t, err)
		whole = append(whole, page.Letters...)
		if (page.Next == ports.DeadLetterPlace{}) {
			break
		}
		filter.Before = page.Next
	}
	require.Len(t, whole, n)
	require.True(t, slices.IsSortedFunc(whole, func(a, b domain.DeadLetter) int { return b.FailedAt.Compare(a.FailedAt) }))
}

func TestConsumersOfDeadProcessesAreRemovedWhenTheyHoldNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	holding, idle := consume(t, db), consume(t, db)
	accept(t, db, newRequest())
	held := receive(t, holding)
	accept(t, db, newRequest())
	finish(t, idle, receive(t, idle), domain.Completed)
	consumers := func() int {
		return len(s.client().XInfoConsumers(t.Context(), "{openhqm-requests}:q:low:orders", "openhqm").Val())
	}
	require.NoError(t, db.Tidy(t.Context(), time.Hour))
	require.Equal(t, 2, consumers(), "both were seen a moment ago")
	require.NoError(t, db.Tidy(t.Context(), 0))
	require.Equal(t, 1, consumers())
	finish(t, holding, held, domain.Completed)
	require.NoError(t, db.Tidy(t.Context(), 0))
	require.Zero(t, consumers())
	accept(t, db, newRequest())
	receive(t, idle) // it is made again
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := goredis.NewStringResult(text, nil).Int()
	require.NoError(t, err)
	return n
}
