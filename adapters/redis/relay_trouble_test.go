package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestWhatIsGoneIsNotTold(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	opts := telling(s.url())
	opts.Logger = log.Logger()
	db := openDB(t, opts)
	announce(t, db, s.client(), resultsOwed, lettersOwed)
	c := consume(t, db)
	for range 10 {
		accept(t, db, newRequest())
		id := end(t, c, domain.Failed, nil)
		require.NoError(t, s.client().Del(t.Context(), "{openhqm-requests}:r:"+string(id)).Err())
		require.NoError(t, db.DeadLetters().Delete(t.Context(), id))
	}
	accept(t, db, newRequest())
	left := end(t, c, domain.Completed, nil)
	relay(t, db, s.client())
	results := toldResults(t, s.client(), 1)
	require.Contains(t, results, left)
	require.Len(t, results, 1)
	requireNothingOwed(t, s.client())
	for _, kind := range []string{"results", "letters"} {
		line := `msg="requests are gone before others were told of them" kind=` + kind
		require.Equal(t, 1, strings.Count(log.String(), line), log.String())
	}
}

func TestWhatIsToldIsTrimmed(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--stream-node-max-entries", "1") // "~" keeps what shares a node with what stays
	db := openDB(t, telling(s.url()))
	client := s.client()
	old := fmt.Sprintf("%d-0", time.Now().Add(-2*time.Hour).UnixMilli())
	recent := fmt.Sprintf("%d-0", time.Now().Add(-30*time.Minute).UnixMilli())
	for _, id := range []string{old, recent} {
		require.NoError(t, client.XAdd(t.Context(), &goredis.XAddArgs{
			Stream: responsesStream, ID: id, Values: []string{"payload", "x"},
		}).Err())
	}
	relay(t, db, s.client(), resultsOwed, lettersOwed)
	accept(t, db, newRequest())
	end(t, consume(t, db), domain.Completed, nil)
	requireNothingOwed(t, client)
	entries, err := client.XRange(t.Context(), responsesStream, "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, recent, entries[0].ID)
}

// TestAStreamThatCannotBeToldIsTriedAgain has a key of another kind in its place.
func TestAStreamThatCannotBeToldIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	opts := telling(s.url())
	opts.Logger = log.Logger()
	db := openDB(t, opts)
	require.NoError(t, s.client().Set(t.Context(), responsesStream, "no stream", 0).Err())
	relay(t, db, s.client(), resultsOwed, lettersOwed)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Completed, nil)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "not told yet") },
		patience, 10*time.Millisecond)
	require.NotContains(t, log.String(), "cannot be used", "redis itself is fine")
	require.NoError(t, s.client().Del(t.Context(), responsesStream).Err())
	require.Contains(t, toldResults(t, s.client(), 1), id)
}

func TestItIsToldAfterRedisCameBackEmpty(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "no")
	db := openDB(t, telling(s.url()))
	relay(t, db, s.client(), resultsOwed, lettersOwed)
	for range 2 {
		require.Eventually(t, func() bool { return tryAccept(t.Context(), db, newRequest()) == nil },
			patience, 10*time.Millisecond)
		requireOwed(t, s.client(), resultsOwed)
		id := end(t, consume(t, db), domain.Completed, nil)
		require.Contains(t, toldResults(t, s.client(), 1), id)
		require.NoError(t, s.stop())
		require.NoError(t, s.start())
	}
}

func TestOthersAreToldInAnotherSlot(t *testing.T) {
	t.Parallel()
	url := startCluster(t)
	opts := telling(url)
	opts.Shards = 3
	opts.Responses, opts.DeadLetterStream = "a-slot-of-its-own", "and-another"
	client := clusterClient(t, url)
	db := openDB(t, opts)
	relay(t, db, client, resultsOwed, lettersOwed,
		"{openhqm-requests/1}:told:results", "{openhqm-requests/1}:told:letters",
		"{openhqm-requests/2}:told:results", "{openhqm-requests/2}:told:letters")
	c := consume(t, db)
	const n = 20
	for range n {
		accept(t, db, newRequest())
	}
	for range n {
		end(t, c, domain.Failed, nil)
	}
	require.Len(t, payloads(t, client, opts.Responses, n), n)
	require.Len(t, payloads(t, client, opts.DeadLetterStream, n), n)
}
