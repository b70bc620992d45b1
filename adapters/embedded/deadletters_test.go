package embedded

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// makeDeadLetters makes a dead letter of each request.
func makeDeadLetters(t *testing.T, db *DB, w *Consumer, c *clock, reqs ...domain.Request) {
	t.Helper()
	accept(t, db, reqs...)
	for left := len(reqs); left > 0; {
		for _, d := range receive(t, w, left) {
			finish(t, w, d, outcome(domain.Failed, c.Now()))
			left--
		}
	}
}

// listed returns the ids of all pages, and how many pages there were.
func listed(t *testing.T, db *DB, filter ports.DeadLetterFilter) (ids []domain.ID, pages int) {
	t.Helper()
	for {
		page, err := db.DeadLetters().List(t.Context(), filter)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Letters), filter.Limit)
		pages++
		for _, letter := range page.Letters {
			ids = append(ids, letter.ID)
		}
		if (page.Next == ports.DeadLetterPlace{}) {
			return ids, pages
		}
		filter.Before = page.Next
	}
}

func TestADeadLetterOutlivesItsRecord(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	request := newRequest(c.Now(), func(r *domain.Request) {
		r.Owner, r.Priority, r.Labels, r.ResentFrom = "shop", 7, map[string]string{"a": "b"}, "older"
	})
	accept(t, db, request)
	again := outcome(domain.Pending, c.Now())
	again.Response = &domain.Response{StatusCode: 503, Body: []byte("busy")}
	finish(t, w, receive(t, w, 1)[0], again)
	c.advance(t, db, time.Second)
	last := outcome(domain.Failed, c.Now())
	last.Attempts, last.Reason, last.Error = 2, domain.ReasonAttempts, "why"
	failedAt := c.Now()
	finish(t, w, receive(t, w, 1)[0], last)

	c.advance(t, db, testTTL)
	_, err := db.State(t.Context(), request.ID)
	require.ErrorIs(t, err, ports.ErrNotFound)
	letter, err := db.DeadLetters().Find(t.Context(), request.ID)
	require.NoError(t, err)
	require.Equal(t, domain.DeadLetter{
		ID: request.ID, Endpoint: "orders", ResentFrom: "older", Status: domain.Failed,
		Reason: domain.ReasonAttempts, Error: "why", Attempts: 2, StatusCode: 503,
		SubmittedAt: request.SubmittedAt, FailedAt: failedAt, RequestSize: request.Size(), Request: &request,
	}, letter)

	c.advance(t, db, testDeadLetterTTL-testTTL)
	_, err = db.DeadLetters().Find(t.Context(), request.ID)
	require.ErrorIs(t, err, ports.ErrNotFound)
	requireOnlyCounters(t, db)
}

func TestADeletedDeadLetterLeavesNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	reqs := []domain.Request{newRequest(c.Now()), newRequest(c.Now()), newRequest(c.Now())}
	makeDeadLetters(t, db, w, c, reqs...)
	letters := db.DeadLetters()
	require.NoError(t, letters.Delete(t.Context(), reqs[1].ID))
	require.ErrorIs(t, letters.Delete(t.Context(), reqs[1].ID), ports.ErrNotFound)
	require.ErrorIs(t, letters.Delete(t.Context(), "nobody"), ports.ErrNotFound)
	db.requireConsistent(t)
	_, err := db.State(t.Context(), reqs[1].ID)
	require.NoError(t, err, "its record stays")
	n := db.count(t)
	require.Equal(t, []int{2, 2, 2}, []int{n["t"], n["b"], n["q"]})

	// Two deletes in one group: the second cannot see the first on disk.
	require.NoError(t, db.do(t.Context(), 0, func(tx *txn) error {
		require.NoError(t, tx.deleteDeadLetter(reqs[0].ID))
		require.ErrorIs(t, tx.deleteDeadLetter(reqs[0].ID), ports.ErrNotFound)
		return nil
	}))
	db.requireConsistent(t)
	require.NoError(t, letters.Delete(t.Context(), reqs[2].ID))
	c.advance(t, db, testDeadLetterTTL)
	requireOnlyCounters(t, db)
}

func TestADeleteInTheGroupThatExpires(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	request := newRequest(c.Now())
	makeDeadLetters(t, db, consume(t, db), c, request)
	c.mu.Lock()
	c.now = c.now.Add(testDeadLetterTTL) // the database has not looked yet
	c.mu.Unlock()
	require.ErrorIs(t, db.DeadLetters().Delete(t.Context(), request.ID), ports.ErrNotFound)
	db.requireConsistent(t)
}

func TestPagesLoseNothingOfOneMoment(t *testing.T) {
	t.Parallel()
	const n = 700 // more than one group ends, at one time of the clock
	c := newClock()
	db := openFresh(t, c)
	want := make(map[domain.ID]bool)
	for range n {
		r := newRequest(c.Now())
		want[r.ID] = true
		accept(t, db, r)
	}
	c.advance(t, db, time.Hour+expiryGrace)
	for _, limit := range []int{7, 100, n, n + 1} {
		ids, pages := listed(t, db, ports.DeadLetterFilter{Limit: limit})
		require.Len(t, ids, n)
		require.Equal(t, (n+limit-1)/limit, pages)
		seen := make(map[domain.ID]bool)
		for _, id := range ids {
			seen[id] = true
		}
		require.Equal(t, want, seen)
	}
}

func TestAPageLooksAtABoundedNumber(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	rare := newRequest(c.Now(), func(r *domain.Request) { r.Endpoint = "rare" })
	accept(t, db, rare)
	c.advance(t, db, time.Hour+expiryGrace)
	reqs := make([]domain.Request, maxListed)
	for i := range reqs {
		reqs[i] = newRequest(c.Now())
	}
	accept(t, db, reqs...)
	c.advance(t, db, time.Hour+expiryGrace)

	filter := ports.DeadLetterFilter{Endpoint: "rare", Limit: 10}
	page, err := db.DeadLetters().List(t.Context(), filter)
	require.NoError(t, err)
	require.Empty(t, page.Letters)
	filter.Before = page.Next
	page, err = db.DeadLetters().List(t.Context(), filter)
	require.NoError(t, err)
	require.Len(t, page.Letters, 1)
	require.Equal(t, rare.ID, page.Letters[0].ID)
	require.Zero(t, page.Next)
}

func TestBeforeIsATimeInAnyPrecision(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	request := newRequest(c.Now())
	makeDeadLetters(t, db, consume(t, db), c, request)
	for add, want := range map[time.Duration]int{
		0: 0, -time.Hour: 0, -100 * 365 * 24 * time.Hour: 0, 1: 1, time.Microsecond: 1, time.Millisecond: 1, time.Hour: 1,
	} {
		ids, _ := listed(t, db, ports.DeadLetterFilter{
			Limit: 10, Before: ports.DeadLetterPlace{FailedAt: c.Now().Add(add)},
		})
		require.Len(t, ids, want, add)
	}
}

func TestAnOriginalThatCannotBeReadIsNotShown(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	request := newRequest(c.Now())
	makeDeadLetters(t, db, consume(t, db), c, request)
	require.NoError(t, db.kv.Set(idKey(prefixRequest, request.ID), []byte("damaged"), pebble.Sync))
	letter, err := db.DeadLetters().Find(t.Context(), request.ID)
	require.NoError(t, err)
	require.Equal(t, request.ID, letter.ID)
	require.Nil(t, letter.Request)
	require.NoError(t, db.DeadLetters().Delete(t.Context(), request.ID))
	db.requireConsistent(t)
}

func TestDamagedDeadLettersAreErrors(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	request, other := newRequest(c.Now()), newRequest(c.Now())
	makeDeadLetters(t, db, w, c, request, other)
	letters := db.DeadLetters()
	row := deadLetterKey(c.Now().UnixMilli(), request.ID)
	require.NoError(t, db.kv.Set(row, []byte("damaged"), pebble.Sync))
	require.NoError(t, db.kv.Set(idKey(prefixLetterRef, other.ID), []byte("damaged"), pebble.Sync))
	page, err := letters.List(t.Context(), ports.DeadLetterFilter{Limit: 10})
	require.NoError(t, err, "one that is damaged does not hide the others")
	require.Len(t, page.Letters, 1)
	require.Equal(t, other.ID, page.Letters[0].ID)
	_, findErr := letters.Find(t.Context(), request.ID)
	for _, err := range []error{findErr, letters.Delete(t.Context(), other.ID)} {
		require.ErrorIs(t, err, ports.ErrUnavailable)
		require.ErrorIs(t, err, errCorrupt)
	}
}

func TestDeadLettersOfAClosedDatabase(t *testing.T) {
	t.Parallel()
	db := openFresh(t, newClock())
	letters := db.DeadLetters()
	require.NoError(t, db.Close())
	_, err := letters.List(context.Background(), ports.DeadLetterFilter{Limit: 1})
	require.ErrorIs(t, err, ports.ErrClosed)
	_, err = letters.State(context.Background(), "id")
	require.ErrorIs(t, err, ports.ErrClosed)
	_, err = letters.Find(context.Background(), "id")
	require.ErrorIs(t, err, ports.ErrClosed)
	require.ErrorIs(t, letters.Delete(context.Background(), "id"), ports.ErrClosed)
}

func TestDeadLettersAreThereAfterAReopen(t *testing.T) {
	t.Parallel()
	c := newClock()
	opts := testOptions(t.TempDir(), c.Now)
	db := open(t, opts)
	var want []domain.ID
	for i := range 5 {
		r := newRequest(c.Now(), func(r *domain.Request) { r.ID = domain.ID(fmt.Sprint("letter-", i)) })
		makeDeadLetters(t, db, consume(t, db), c, r)
		want = append([]domain.ID{r.ID}, want...)
		c.advance(t, db, time.Millisecond)
	}
	require.NoError(t, db.Close())
	db = open(t, opts)
	ids, _ := listed(t, db, ports.DeadLetterFilter{Limit: 2})
	require.Equal(t, want, ids, "newest first")
	db.requireConsistent(t)
}
