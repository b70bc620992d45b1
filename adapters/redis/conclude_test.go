package redis_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestResultsOfOtherProgramsEndRequests(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	response := &domain.Response{StatusCode: 201, Header: domain.Header{"X-A": {"b"}}, Body: []byte("done")}
	for _, tt := range []struct {
		give domain.Status
		with domain.Result
	}{
		{domain.Completed, domain.Result{Response: response}},
		{domain.Failed, domain.Result{Response: response, Reason: domain.ReasonRejected, Error: "no luck"}},
		{domain.TimedOut, domain.Result{Reason: domain.ReasonDeadline, Error: "no luck"}},
		{domain.Cancelled, domain.Result{}},
	} {
		t.Run(string(tt.give), func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			db := openDB(t, handover(s.url()))
			r := newRequest()
			accept(t, db, r)
			waited := make(chan domain.Record, 1)
			go func() {
				rec, _ := db.Wait(t.Context(), r.ID)
				waited <- rec
			}()
			tt.with.CompletedAt, tt.with.ProcessingTime = at, 7*time.Millisecond
			conclusions := []ports.Conclusion{{ID: r.ID, Status: tt.give, Result: tt.with}}
			require.NoError(t, db.Conclude(t.Context(), conclusions)[0])
			require.Equal(t, tt.give, (<-waited).Status, "who waits is woken")
			rec, err := db.Find(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, &tt.with, rec.Result)
			letter, err := db.DeadLetters().Find(t.Context(), r.ID)
			if tt.give.DeadLettered() {
				require.NoError(t, err)
				require.Equal(t, "no luck", letter.Error)
			} else {
				require.ErrorIs(t, err, ports.ErrNotFound)
			}
			require.Empty(t, handedOver(t, s.client()))
		})
	}
}

func TestTheFirstFinalResultWins(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var mu sync.Mutex
	ended := 0
	opts := handover(s.url())
	opts.Ended = func(domain.Record) {
		mu.Lock()
		defer mu.Unlock()
		ended++
	}
	db := openDB(t, opts)
	r := newRequest()
	accept(t, db, r)
	for _, status := range []domain.Status{domain.Completed, domain.Failed, domain.Cancelled} {
		require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: r.ID, Status: status}})[0])
	}
	rec, err := db.State(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, rec.Status)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, ended)
}

// TestAResultEndsWhatAWorkerHolds leaves nothing of the request in lanes and leases.
func TestAResultEndsWhatAWorkerHolds(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Shards = 4
	db := openDB(t, opts)
	c := consume(t, db)
	held, ready, delayed := newRequest(), newRequest(), newRequest()
	held.Idempotency = &domain.Idempotency{Key: "elsewhere", ExpiresAt: time.Now().Add(time.Hour)}
	delayed.NotBefore = time.Now().Add(time.Hour)
	accept(t, db, held)
	d := receive(t, c)
	accept(t, db, ready)
	accept(t, db, delayed)
	for _, r := range []domain.Request{held, ready, delayed} {
		require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: r.ID, Status: domain.Completed}})[0])
		rec, err := db.Wait(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, domain.Completed, rec.Status)
	}
	require.ErrorIs(t, c.Finish(t.Context(), []ports.Finish{{
		ID: d.Request.ID, Token: d.Token, Outcome: domain.Outcome{Status: domain.Failed, At: time.Now()},
	}})[0], ports.ErrLost)
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{}, depths)
}

func TestConcludeAnswersForEach(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handoverTo(s.url())
	opts.Shards = 4
	db := openDB(t, opts)
	first, second := newRequest(), newRequest()
	first.Idempotency = &domain.Idempotency{Key: "elsewhere", ExpiresAt: time.Now().Add(time.Hour)}
	accept(t, db, first)
	accept(t, db, second)
	conclude := func(ids ...domain.ID) []error {
		all := make([]ports.Conclusion, len(ids))
		for i, id := range ids {
			all[i] = ports.Conclusion{ID: id, Status: domain.Completed}
		}
		return db.Conclude(t.Context(), all)
	}
	require.Equal(t, []error{nil, ports.ErrNotFound, nil}, conclude(first.ID, "unknown", second.ID))
	require.Equal(t, []error{nil}, conclude(first.ID), "again")

	bad := domain.Request{ID: "result-1", SubmittedAt: time.Now(), Deadline: time.Now()}
	for range 2 {
		require.NoError(t, db.RejectResult(t.Context(), rejection(bad, "oops", "no JSON")))
	}
	letter, err := db.DeadLetters().Find(t.Context(), bad.ID)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonUndecodable, letter.Reason)

	require.NoError(t, db.Close())
	require.Equal(t, []error{ports.ErrClosed}, conclude(first.ID))
	require.ErrorIs(t, db.RejectResult(t.Context(), rejection(bad, "", "no JSON")), ports.ErrClosed)
}
