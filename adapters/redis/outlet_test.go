package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// another is what another broker is told. It implements ports.Publisher.
type another struct {
	limit int  // bytes of a message; 0: none
	hangs bool // until the caller gives up

	mu    sync.Mutex
	away  bool
	tries int
	told  []ports.QueueMessage
}

func (a *another) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	if a.hangs {
		<-ctx.Done()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tries++
	errs := make([]error, len(messages))
	for i, m := range messages {
		switch {
		case a.hangs || a.away:
			errs[i] = ports.ErrUnavailable
		case a.limit > 0 && len(m.Value) > a.limit:
			errs[i] = fmt.Errorf("%w: it takes %d bytes", ports.ErrTooLarge, a.limit)
		default:
			a.told = append(a.told, m)
		}
	}
	return errs
}

// all gives what it was told.
func (a *another) all() []ports.QueueMessage {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]ports.QueueMessage{}, a.told...)
}

// await waits until it was told so much, and gives that.
func (a *another) await(t *testing.T, n int) []ports.QueueMessage {
	t.Helper()
	require.Eventually(t, func() bool { return len(a.all()) >= n }, patience, 10*time.Millisecond)
	require.Len(t, a.all(), n)
	return a.all()
}

const requestsOutbox = "{openhqm-requests}:outbox:requests"

// handoverTo makes requests messages of another broker.
func handoverTo(url string, requests ports.Publisher) redis.Options {
	opts := handover(url)
	opts.Outlets.Requests = requests
	return opts
}

func TestRequestsAreHandedOverToAnotherBroker(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	out := &another{}
	opts := handoverTo(s.url(), out)
	opts.Shards = 3
	db := openDB(t, opts)
	now, later, cancelled, late := newRequest(), newRequest(), newRequest(), newRequest()
	now.Header = domain.Header{"X-A": {"b", "c"}, "Content-Type": {"application/octet-stream"}}
	now.Body = make([]byte, 2*envelope.MaxInlineBody)
	later.NotBefore = time.Now().UTC().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	late.Deadline = time.Now().Add(-time.Minute)
	for _, r := range []domain.Request{now, now, later, cancelled, late} {
		accept(t, db, r)
	}
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	rec, err := db.Wait(t.Context(), late.ID)
	require.NoError(t, err)
	require.Equal(t, domain.TimedOut, rec.Status)
	run(t, db.Relay) // what is over by now is not handed over

	told := out.await(t, 2)
	require.False(t, time.Now().Before(later.NotBefore), "not too early")
	for i, want := range []domain.Request{now, later} {
		require.Equal(t, want.ID, told[i].ID)
		m, err := envelope.Decode(told[i].Value, time.Time{}, 1<<24)
		require.NoError(t, err)
		require.Equal(t, envelope.Message{Request: want}, m, "once and whole")
	}
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, depths.Ready, "until they are final")
	require.WithinDuration(t, time.Now(), depths.OldestReady, patience)
	require.Zero(t, s.client().Exists(t.Context(), plainStream).Val())

	require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: now.ID, Status: domain.Completed}})[0])
	_, err = db.Cancel(t.Context(), later.ID)
	require.NoError(t, err, "one that was handed over can be cancelled, and its result changes nothing")
	require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: later.ID, Status: domain.Completed}})[0])
	rec, err = db.State(t.Context(), later.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Cancelled, rec.Status)
	depths, err = db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{DeadLetters: 1}, depths)
}

// TestARequestThatADeadProcessWasHandingOverIsHandedOver has a process die before it lets go of what it published.
func TestARequestThatADeadProcessWasHandingOverIsHandedOver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	hanging, out := &another{hangs: true}, &another{}
	opts := handoverTo(s.url(), hanging)
	opts.Lease = 100 * time.Millisecond
	dying := openDB(t, opts)
	r := newRequest()
	accept(t, dying, r)
	ended := make(chan error, 1)
	go func() { ended <- dying.Relay(context.Background()) }()
	require.Eventually(t, func() bool {
		pending, err := s.client().XPending(t.Context(), requestsOutbox, "openhqm").Result()
		return err == nil && pending.Count == 1
	}, patience, time.Millisecond)
	require.NoError(t, dying.Close())
	require.NoError(t, <-ended)

	opts.Outlets.Requests = out
	run(t, openDB(t, opts).Relay)
	require.Equal(t, r.ID, out.await(t, 1)[0].ID)
	requireSettled(t, s.client(), requestsOutbox)
}

func TestARequestThatIsTooLargeForAnotherBrokerIsADeadLetter(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	out := &another{limit: 1000}
	db := openDB(t, handoverTo(s.url(), out))
	large, small := newRequest(), newRequest()
	large.Body = make([]byte, 2000)
	accept(t, db, large)
	accept(t, db, small)
	run(t, db.Relay)
	rec, err := db.Wait(t.Context(), large.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, rec.Status)
	letter, err := db.DeadLetters().Find(t.Context(), large.ID)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonRejected, letter.Reason)
	require.Contains(t, letter.Error, "it takes 1000 bytes")
	require.Equal(t, large.Body, letter.Request.Body, "it can be sent again")
	require.Equal(t, small.ID, out.await(t, 1)[0].ID)
	requireSettled(t, s.client(), requestsOutbox)
}

// tellingAnother tells another broker of results and dead letters.
func tellingAnother(url string, results, letters ports.Publisher) redis.Options {
	opts := telling(url)
	opts.Responses, opts.DeadLetterStream = "", ""
	opts.Outlets = redis.Outlets{Results: results, DeadLetters: letters}
	opts.LetterURL = func(id domain.ID) string { return "http://localhost/letters/" + string(id) }
	return opts
}

func TestAnotherBrokerIsToldByURLWhatIsTooLargeForIt(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	results, letters := &another{limit: 1000}, &another{limit: 1000}
	db := openDB(t, tellingAnother(s.url(), results, letters))
	relay(t, db, s.client(), resultsOwed, lettersOwed)
	c := consume(t, db)
	r := newRequest()
	r.Body = make([]byte, 2000)
	accept(t, db, r)
	response := &domain.Response{StatusCode: 500, Header: domain.Header{"X-A": {"b"}}, Body: make([]byte, 2000)}
	end(t, c, domain.Failed, response)

	result, err := envelope.DecodeResult(results.await(t, 1)[0].Value, time.Time{}, 1<<20)
	require.NoError(t, err)
	require.Equal(t, "http://localhost/"+string(r.ID), result.URL)
	require.Equal(t, 500, result.Result.Response.StatusCode)
	letter, err := envelope.DecodeDeadLetter(letters.await(t, 1)[0].Value, 1<<20)
	require.NoError(t, err)
	require.Nil(t, letter.Message)
	require.Equal(t, "http://localhost/letters/"+string(r.ID), letter.URL)
	require.Equal(t, "no luck", letter.Error)
	requireNothingOwed(t, s.client())
	require.Zero(t, s.client().Exists(t.Context(), responsesStream, lettersStream).Val())
}

func TestWhatFitsInNoFormIsLoggedAndNotToldForEver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	results, letters := &another{limit: 1}, &another{limit: 1}
	opts := tellingAnother(s.url(), results, letters)
	opts.Logger = log.Logger()
	db := openDB(t, opts)
	relay(t, db, s.client(), resultsOwed, lettersOwed)
	accept(t, db, newRequest())
	end(t, consume(t, db), domain.Failed, nil)
	requireNothingOwed(t, s.client())
	require.Equal(t, 2, strings.Count(log.String(), "too large for them in every form"), log.String())
}

// TestAnOutletThatHangsHoldsUpNoOther also holds that it does not hold up a shutdown.
func TestAnOutletThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	results, letters := &another{away: true}, &another{hangs: true}
	db := openDB(t, tellingAnother(s.url(), results, letters))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Relay(ctx) }()
	requireOwed(t, s.client(), resultsOwed, lettersOwed)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Failed, nil)
	require.Eventually(t, func() bool {
		results.mu.Lock()
		defer results.mu.Unlock()
		return results.tries > 1 // it is tried again
	}, patience, 10*time.Millisecond)
	results.mu.Lock()
	results.away = false
	results.mu.Unlock()
	require.Equal(t, id, results.await(t, 1)[0].ID)
	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second): // an outlet is given longer
		require.Fail(t, "it waits for the outlet")
	}
	require.Empty(t, letters.all())
}

func TestAQueueIsForConsumersOfOneBroker(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handoverTo(s.url(), &another{})
	openDB(t, opts)
	tests := []struct {
		name string
		give func(*redis.Options)
		want string
	}{
		{"more shards", func(o *redis.Options) { o.Shards = 2 }, "redis.shards is 2, but the queue was made with 1"},
		{"of redis", func(o *redis.Options) { o.Outlets.Requests = nil }, "consumers of another broker"},
		{"our own", func(o *redis.Options) { o.Handover = false }, "consumers that are not ours"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given := opts
			tt.give(&given)
			_, err := redis.Open(t.Context(), given)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestConcludeAnswersForEach(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handoverTo(s.url(), &another{})
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
		require.NoError(t, db.RejectResult(t.Context(), bad, []byte("oops"), errors.New("no JSON")))
	}
	letter, err := db.DeadLetters().Find(t.Context(), bad.ID)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonUndecodable, letter.Reason)

	require.NoError(t, db.Close())
	require.Equal(t, []error{ports.ErrClosed}, conclude(first.ID))
	require.ErrorIs(t, db.RejectResult(t.Context(), bad, nil, errors.New("no JSON")), ports.ErrClosed)
}

// TestWhatEndsWhileItsOutletIsAwayIsNotHandedOver ends a request that a relay has read.
func TestWhatEndsWhileItsOutletIsAwayIsNotHandedOver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	out := &another{away: true}
	opts := handoverTo(s.url(), out)
	opts.Logger = log.Logger()
	db := openDB(t, opts)
	over, waiting := newRequest(), newRequest()
	accept(t, db, over)
	run(t, db.Relay)
	require.Eventually(t, func() bool {
		out.mu.Lock()
		defer out.mu.Unlock()
		return out.tries > 0
	}, patience, time.Millisecond)
	_, err := db.Cancel(t.Context(), over.ID)
	require.NoError(t, err)
	accept(t, db, waiting)
	out.mu.Lock()
	out.away = false
	out.mu.Unlock()
	require.Equal(t, waiting.ID, out.await(t, 1)[0].ID)
	requireSettled(t, s.client(), requestsOutbox)
	require.NotContains(t, log.String(), "gone before", "it is no loss")
}
