package redis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

const resultsStream = "results"

// run runs a loop of the database until the test ends, and waits for it.
func run(t *testing.T, loop func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func storeResults(t *testing.T, db *redis.DB) {
	t.Helper()
	run(t, func(ctx context.Context) error {
		return db.StoreResults(ctx, redis.ResultsInOptions{Stream: resultsStream, MaxSize: 1 << 20})
	})
}

func addResult(t *testing.T, client goredis.UniversalClient, payload string) string {
	t.Helper()
	id, err := client.XAdd(t.Context(), &goredis.XAddArgs{
		Stream: resultsStream, Values: []string{"payload", payload},
	}).Result()
	require.NoError(t, err)
	return id
}

func requireSettled(t *testing.T, client goredis.UniversalClient, stream string) {
	t.Helper()
	require.Eventually(t, func() bool {
		pending, err := client.XPending(t.Context(), stream, "openhqm").Result()
		return err == nil && pending.Count == 0 && client.XLen(t.Context(), stream).Val() == 0
	}, patience, 10*time.Millisecond, "what is taken in leaves the stream")
}

func TestResultsOfOthersEndRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		give       string // after the id
		want       domain.Status
		wantReason domain.Reason
		wantCode   int // 0: no response
		wantBody   string
	}{
		{
			"completed", `"status":"COMPLETED","status_code":201,"result":{"n": 1e400 }`,
			domain.Completed, "", 201, `{"n": 1e400 }`,
		},
		{
			"failed", `"status":"FAILED","status_code":503,"result":"busy","error":"no luck"`,
			domain.Failed, domain.ReasonRejected, 503, "busy",
		},
		{"too late", `"status":"TIMEOUT","error":"no luck"`, domain.TimedOut, domain.ReasonDeadline, 0, ""},
		{"cancelled", `"status":"CANCELLED"`, domain.Cancelled, "", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			db := openDB(t, handover(s.url()))
			storeResults(t, db)
			r := newRequest()
			accept(t, db, r)
			waited := make(chan domain.Record, 1)
			go func() {
				rec, _ := db.Wait(t.Context(), r.ID)
				waited <- rec
			}()
			message := fmt.Sprintf(`{"correlation_id":%q,%s,"timestamp":"2026-01-02T03:04:05.678Z","processing_time_ms":7}`,
				r.ID, tt.give)
			addResult(t, s.client(), message)
			require.Equal(t, tt.want, (<-waited).Status, "who waits is told")
			rec, err := db.Find(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, tt.wantReason, rec.Result.Reason)
			require.Equal(t, 7*time.Millisecond, rec.Result.ProcessingTime)
			require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), rec.Result.CompletedAt)
			if tt.wantCode == 0 {
				require.Nil(t, rec.Result.Response)
			} else {
				require.Equal(t, tt.wantCode, rec.Result.Response.StatusCode)
				require.Equal(t, tt.wantBody, string(rec.Result.Response.Body))
			}
			_, err = db.DeadLetters().Find(t.Context(), r.ID)
			if tt.want.DeadLettered() {
				require.NoError(t, err)
				require.Equal(t, "no luck", rec.Result.Error)
			} else {
				require.ErrorIs(t, err, ports.ErrNotFound)
			}
			requireSettled(t, s.client(), resultsStream)
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
	for _, status := range []string{"COMPLETED", "FAILED", "CANCELLED"} {
		addResult(t, s.client(), fmt.Sprintf(`{"correlation_id":%q,"status":%q}`, r.ID, status))
	}
	storeResults(t, db)
	requireSettled(t, s.client(), resultsStream)
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
	storeResults(t, db)
	c := consume(t, db)
	held, ready, delayed := newRequest(), newRequest(), newRequest()
	held.Idempotency = &domain.Idempotency{Key: "elsewhere", ExpiresAt: time.Now().Add(time.Hour)}
	delayed.NotBefore = time.Now().Add(time.Hour)
	accept(t, db, held)
	d := receive(t, c)
	accept(t, db, ready)
	accept(t, db, delayed)
	for _, r := range []domain.Request{held, ready, delayed} {
		addResult(t, s.client(), fmt.Sprintf(`{"correlation_id":%q,"status":"COMPLETED"}`, r.ID))
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

func TestResultsThatCannotBeReadBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, handover(s.url()))
	r := newRequest()
	accept(t, db, r)
	named := `{"correlation_id":"` + string(r.ID) + `"`
	wants := map[domain.ID]string{}
	for give, want := range map[string]string{
		"oops":                         "JSON",
		`{"status":"COMPLETED"}`:       "names no request",
		named + `}`:                    "status",
		named + `,"status":"PENDING"}`: "status",
		named + `,"status":"COMPLETED","result_url":"http://127.0.0.1/"}`:              "result_url",
		named + `,"status":"COMPLETED","result":"` + strings.Repeat("x", 1<<20) + `"}`: "longer",
	} {
		wants[domain.ID("result-"+addResult(t, s.client(), give))] = want
	}
	storeResults(t, db)
	requireSettled(t, s.client(), resultsStream)
	for id, want := range wants {
		letter, err := db.DeadLetters().Find(t.Context(), id)
		require.NoError(t, err, want)
		require.Equal(t, domain.ReasonUndecodable, letter.Reason)
		require.Contains(t, letter.Error, want)
		require.Nil(t, letter.Request)
	}
	rec, err := db.State(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Pending, rec.Status, "the request that they name is left alone")
}

func TestResultsOfUnknownRequestsAreDroppedWithoutALogStorm(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	opts := options(s.url())
	opts.Shards = 3
	opts.Logger = log.Logger()
	now := time.Now()
	opts.Now = func() time.Time { return now }
	db := openDB(t, opts)
	for i := range 100 {
		addResult(t, s.client(), fmt.Sprintf(`{"correlation_id":"unknown-%d","status":"COMPLETED"}`, i))
	}
	storeResults(t, db)
	requireSettled(t, s.client(), resultsStream)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "unknown-0")
}

// TestResultsAreTakenInAfterRedisCameBackEmpty takes away the group.
func TestResultsAreTakenInAfterRedisCameBackEmpty(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "no")
	db := openDB(t, handover(s.url()))
	storeResults(t, db)
	for range 2 {
		r := newRequest()
		accept(t, db, r)
		addResult(t, s.client(), fmt.Sprintf(`{"correlation_id":%q,"status":"COMPLETED"}`, r.ID))
		_, err := db.Wait(t.Context(), r.ID)
		require.NoError(t, err)
		requireSettled(t, s.client(), resultsStream)
		require.NoError(t, s.stop())
		require.NoError(t, s.start())
		require.Eventually(t, func() bool { return db.Probe(t.Context()) == nil }, patience, 10*time.Millisecond)
	}
}

// TestResultsThatADeadProcessHadReadAreTakenOver reads an entry as another process, which never settles it.
func TestResultsThatADeadProcessHadReadAreTakenOver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handover(s.url())
	opts.Lease = 100 * time.Millisecond
	db := openDB(t, opts)
	r := newRequest()
	accept(t, db, r)
	client := s.client()
	require.NoError(t, client.XGroupCreateMkStream(t.Context(), resultsStream, "openhqm", "0").Err())
	addResult(t, client, fmt.Sprintf(`{"correlation_id":%q,"status":"COMPLETED"}`, r.ID))
	require.NoError(t, client.XReadGroup(t.Context(), &goredis.XReadGroupArgs{
		Group: "openhqm", Consumer: "dead", Streams: []string{resultsStream, ">"},
	}).Err())
	storeResults(t, db)
	rec, err := db.Wait(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, rec.Status)
}
