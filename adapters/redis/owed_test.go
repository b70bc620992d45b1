package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
)

// announced lets a process that is gone now have told of the kinds.
func announced(t *testing.T, s *server, opts redis.Options, notes ...string) {
	t.Helper()
	db := openDB(t, opts)
	announce(t, db, s.client(), notes...)
	require.NoError(t, db.Close())
}

// TestWhatIsOwedDoesNotDependOnWhoEndsARequest ends requests in a process that knows nobody to tell.
func TestWhatIsOwedDoesNotDependOnWhoEndsARequest(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	announced(t, s, telling(s.url()), resultsOwed, lettersOwed)
	api := openDB(t, options(s.url()))
	finished, cancelled, late := newRequest(), newRequest(), newRequest()
	late.Deadline = time.Now().Add(-time.Minute)
	accept(t, api, finished)
	end(t, consume(t, api), domain.Completed, nil)
	accept(t, api, cancelled)
	_, err := api.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	accept(t, api, late)
	rec, err := api.State(t.Context(), late.ID)
	require.NoError(t, err)
	require.Equal(t, domain.TimedOut, rec.Status)

	relay(t, openDB(t, telling(s.url())), s.client())
	results := toldResults(t, s.client(), 3)
	require.Equal(t, domain.Completed, results[finished.ID].Status)
	require.Equal(t, domain.Cancelled, results[cancelled.ID].Status)
	require.Equal(t, domain.TimedOut, results[late.ID].Status)
	require.Contains(t, toldLetters(t, s.client(), 1), late.ID)
}

// TestEachProcessTellsWhatItHasANameFor has two that tell one kind each.
func TestEachProcessTellsWhatItHasANameFor(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	announced(t, s, telling(s.url()), resultsOwed, lettersOwed)
	onlyResults, onlyLetters := telling(s.url()), telling(s.url())
	onlyResults.DeadLetterStream, onlyLetters.Responses = "", ""
	db := openDB(t, onlyResults)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Failed, nil)
	announce(t, db, client, resultsOwed) // which ends when it has told what it can
	require.Contains(t, toldResults(t, client, 1), id)
	requireSettled(t, client, resultsOutbox)
	require.EqualValues(t, 1, client.XLen(t.Context(), lettersOutbox).Val())
	require.Zero(t, client.XPending(t.Context(), lettersOutbox, "openhqm").Val().Count, "nobody took it")
	require.Zero(t, client.XLen(t.Context(), lettersStream).Val())
	relay(t, openDB(t, onlyLetters), client)
	require.Contains(t, toldLetters(t, client, 1), id)
	requireSettled(t, client, lettersOutbox)
	require.EqualValues(t, 1, client.XLen(t.Context(), responsesStream).Val())
}

func TestNothingIsOwedThatNobodyTells(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	db := openDB(t, telling(s.url())) // which does not run a relay
	c := consume(t, db)
	ended := func() {
		accept(t, db, newRequest())
		end(t, c, domain.Failed, nil)
	}
	ended()
	require.Zero(t, client.Exists(t.Context(), resultsOutbox, lettersOutbox).Val())

	onlyResults := telling(s.url())
	onlyResults.DeadLetterStream = ""
	announced(t, s, onlyResults, resultsOwed)
	ended()
	require.EqualValues(t, 1, client.XLen(t.Context(), resultsOutbox).Val())
	require.Zero(t, client.Exists(t.Context(), lettersOutbox).Val())
	for _, key := range []string{resultsOwed, resultsOutbox} {
		left := client.PTTL(t.Context(), key).Val()
		require.Positive(t, left, key)
		require.LessOrEqual(t, left, onlyResults.Retention, key)
	}
}

func TestWhatIsOwedForTooLongIsTrimmed(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--stream-node-max-entries", "1") // "~" keeps what shares a node with what stays
	client := s.client()
	announced(t, s, telling(s.url()), resultsOwed)
	old := fmt.Sprintf("%d-0", time.Now().Add(-2*time.Hour).UnixMilli())
	require.NoError(t, client.XAdd(t.Context(), &goredis.XAddArgs{
		Stream: resultsOutbox, ID: old, Values: []string{"id", "1", "bytes", "0"},
	}).Err())
	db := openDB(t, options(s.url()))
	accept(t, db, newRequest())
	end(t, consume(t, db), domain.Completed, nil)
	entries, err := client.XRange(t.Context(), resultsOutbox, "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NotEqual(t, old, entries[0].ID)
}

// TestARelayThatEndsTellsWhatIsLeft has one whose time is over before it begins.
func TestARelayThatEndsTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	announced(t, s, telling(s.url()), resultsOwed, lettersOwed)
	db := openDB(t, telling(s.url()))
	c := consume(t, db)
	const n = 100 // more than one round tells of
	for range n {
		accept(t, db, newRequest())
		end(t, c, domain.Failed, nil)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, db.Relay(over))
	require.Len(t, toldResults(t, s.client(), n), n)
	require.Len(t, toldLetters(t, s.client(), n), n)
	requireNothingOwed(t, s.client())
}

func TestARelayEndsWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, telling(s.url()+"?read_timeout=1h"))
	require.NoError(t, s.client().Do(t.Context(), "CLIENT", "PAUSE", "600000", "ALL").Err())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- db.Relay(over) }()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "it waits for Redis")
	}
}

// TestAKindThatCannotBeToldDoesNotHoldUpTheOther has a key of another kind in the place of one stream.
func TestAKindThatCannotBeToldDoesNotHoldUpTheOther(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	require.NoError(t, client.Set(t.Context(), responsesStream, "no stream", 0).Err())
	db := openDB(t, telling(s.url()))
	relay(t, db, client, resultsOwed, lettersOwed)
	c := consume(t, db)
	const n = 100
	for range n {
		accept(t, db, newRequest())
		end(t, c, domain.Failed, nil)
	}
	require.Len(t, toldLetters(t, client, n), n)
	require.NoError(t, client.Del(t.Context(), responsesStream).Err())
	require.Len(t, toldResults(t, client, n), n)
}

// TestWhatIsOwedIsKeptUntilItIsTold has a relay that begins when the lifetimes are over.
func TestWhatIsOwedIsKeptUntilItIsTold(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	announced(t, s, telling(s.url()), resultsOwed, lettersOwed)
	opts := options(s.url())
	opts.TTL, opts.DeadLetterTTL = 10*time.Millisecond, 10*time.Millisecond
	db := openDB(t, opts)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Failed, nil)
	record, letter := "{openhqm-requests}:r:"+string(id), "{openhqm-requests}:d:"+string(id)
	for _, key := range []string{record, letter} {
		left := client.PTTL(t.Context(), key).Val()
		require.Greater(t, left, opts.TTL, key)
		require.LessOrEqual(t, left, telling("").Retention, key)
	}
	require.Eventually(t, func() bool {
		return client.ZCard(t.Context(), "{openhqm-requests}:dead").Val() == 0
	}, patience, 10*time.Millisecond, "a sweep that forgets the dead letter")

	relay(t, openDB(t, telling(s.url())), client)
	require.Contains(t, toldResults(t, client, 1), id)
	require.Equal(t, "no luck", toldLetters(t, client, 1)[id].Error)
	requireNothingOwed(t, client)
	require.Eventually(t, func() bool { return client.Exists(t.Context(), record, letter).Val() == 0 },
		patience, 10*time.Millisecond, "their lifetime is over, and nobody waits for them")
}

// TestWhatIsToldKeepsItsLifetime has one that is shorter than what is owed is kept.
func TestWhatIsToldKeepsItsLifetime(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	opts := telling(s.url())
	opts.TTL, opts.DeadLetterTTL = 10*time.Minute, 20*time.Minute
	db := openDB(t, opts)
	relay(t, db, client, resultsOwed, lettersOwed)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Failed, nil)
	for key, want := range map[string]time.Duration{"r": opts.TTL, "d": opts.DeadLetterTTL} {
		require.Eventually(t, func() bool {
			left := client.PTTL(t.Context(), "{openhqm-requests}:"+key+":"+string(id)).Val()
			return left > want-patience && left <= want
		}, patience, 10*time.Millisecond, key)
	}
}
