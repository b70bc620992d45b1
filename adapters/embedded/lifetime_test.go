package embedded

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// lasting are the kinds of rows that never expire: the totals, and one counter a queue.
func requireOnlyCounters(t *testing.T, db *DB) {
	t.Helper()
	require.Equal(t, map[string]int{string(rune(prefixTotals)): 1, string(rune(prefixQueue)): 1}, db.count(t))
}

func TestEverythingIsDeletedAfterItsLifetime(t *testing.T) {
	t.Parallel()
	const each = 700 // more than one group deletes
	c := newClock()
	opts := testOptions(t.TempDir(), c.Now)
	db := open(t, opts)
	w := consume(t, db)
	for _, status := range []domain.Status{domain.Completed, domain.Failed, domain.TimedOut} {
		for range each {
			accept(t, db, newRequest(c.Now(), withKey(fmt.Sprint(lastID.Load()), c.Now().Add(30*time.Minute))))
		}
		for left := each; left > 0; {
			for _, d := range receive(t, w, left) {
				out := outcome(status, c.Now())
				out.Response = &domain.Response{StatusCode: 500}
				finish(t, w, d, out)
				left--
			}
		}
	}
	db.requireConsistent(t)
	n := db.count(t)
	require.Equal(t, 3*each, n["r"])
	require.Equal(t, 3*each, n["s"])
	require.Equal(t, 2*each, n["q"], "originals of dead letters, and no others")
	require.Equal(t, 2*each, n["t"])
	require.Equal(t, 2*each, n["k"], "keys of COMPLETED and TIMEOUT")
	require.Zero(t, n["w"]+n["d"])

	c.advance(t, db, 31*time.Minute)
	n = db.count(t)
	require.Zero(t, n["k"])
	require.Equal(t, 3*each, n["r"])

	c.advance(t, db, testTTL)
	n = db.count(t)
	require.Zero(t, n["r"]+n["s"])
	require.Equal(t, 2*each, n["q"])
	require.Equal(t, 2*each, n["t"])
	db.requireConsistent(t)

	require.NoError(t, db.Close())
	db = open(t, opts)
	c.advance(t, db, testDeadLetterTTL)
	requireOnlyCounters(t, db)
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{}, depths)
}

func TestCancelledRequestsAreDeleted(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	ready := newRequest(c.Now(), withKey("ready", c.Now().Add(24*time.Hour)))
	delayed := newRequest(c.Now())
	delayed.NotBefore = c.Now().Add(time.Minute)
	retried := newRequest(c.Now())
	accept(t, db, retried)
	again := outcome(domain.Pending, c.Now())
	again.NextAttemptAt, again.Response = c.Now().Add(time.Minute), &domain.Response{StatusCode: 503}
	finish(t, w, receive(t, w, 1)[0], again)
	accept(t, db, ready, delayed)
	for _, r := range []domain.Request{ready, delayed, retried} {
		_, err := db.Cancel(t.Context(), r.ID)
		require.NoError(t, err)
	}
	db.requireConsistent(t)
	n := db.count(t)
	require.Zero(t, n["q"]+n["s"]+n["w"]+n["d"]+n["k"], "only the records are left: %v", n)
	require.Equal(t, 3, n["x"], "with their expiries, and not that of the key")
	c.advance(t, db, testTTL)
	requireOnlyCounters(t, db)
}

func TestUnfinishedRequestsEndAfterTheirDeadline(t *testing.T) {
	t.Parallel()
	const each = 600
	c := newClock()
	db := openFresh(t, c)
	for i := range each {
		delayed := newRequest(c.Now())
		delayed.NotBefore = c.Now().Add(time.Duration(i+1) * time.Minute)
		accept(t, db, newRequest(c.Now()), delayed)
	}
	c.advance(t, db, time.Hour)
	require.Zero(t, db.count(t)["t"], "not before their deadline is over by the grace")
	c.advance(t, db, expiryGrace)
	db.requireConsistent(t)
	n := db.count(t)
	require.Equal(t, 2*each, n["t"])
	require.Zero(t, n["w"]+n["d"])
	c.advance(t, db, testDeadLetterTTL)
	requireOnlyCounters(t, db)
}

func TestWhatIsBeingWorkedOnDoesNotExpire(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	request := newRequest(c.Now())
	accept(t, db, request)
	d := receive(t, w, 1)[0]
	for range 5 {
		c.advance(t, db, time.Hour)
		db.requireConsistent(t)
	}
	again := outcome(domain.Pending, c.Now())
	finish(t, w, d, again)
	c.advance(t, db, testLease) // the next look at it
	record, err := db.Find(t.Context(), request.ID)
	require.NoError(t, err)
	require.Equal(t, domain.TimedOut, record.Status)
	require.Equal(t, 1, record.Attempts)
	db.requireConsistent(t)
}

func TestAKeyAnswersWhenItsRecordIsGone(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	first := newRequest(c.Now(), withKey("k", c.Now().Add(24*time.Hour)))
	accept(t, db, first)
	finish(t, w, receive(t, w, 1)[0], outcome(domain.Completed, c.Now()))
	c.advance(t, db, testTTL)
	_, err := db.State(t.Context(), first.ID)
	require.ErrorIs(t, err, ports.ErrNotFound)

	answer := db.Accept(t.Context(), []domain.Request{newRequest(c.Now(), withKey("k", c.Now()))})[0]
	require.NoError(t, answer.Err)
	require.Equal(t, ports.AcceptedSame, answer.Outcome)
	require.Equal(t, first.ID, answer.Record.ID)
	require.Equal(t, first.SubmittedAt, answer.Record.SubmittedAt)
	require.Equal(t, first.Endpoint, answer.Record.Endpoint)
}

// TestAKeyThatWasTakenOverStays lets more keys expire at once than one group deletes, so that one of them is taken by
// another request before it is deleted.
func TestAKeyThatWasTakenOverStays(t *testing.T) {
	t.Parallel()
	const keys = maxGroupDue + 10
	c := newClock()
	db := openFresh(t, c)
	reqs := make([]domain.Request, keys)
	for i := range reqs {
		reqs[i] = newRequest(c.Now(), withKey(fmt.Sprintf("%04d", i), c.Now().Add(time.Minute)))
	}
	accept(t, db, reqs...)
	last := reqs[keys-1].Idempotency.Key
	c.mu.Lock()
	c.now = c.now.Add(time.Minute)
	c.mu.Unlock()
	// The first group to see the new time deletes what it can and then takes the heir in.
	heir := newRequest(c.Now(), withKey(last, c.Now().Add(time.Minute)))
	accept(t, db, heir)

	c.advance(t, db, time.Second)
	require.Equal(t, 1, db.count(t)["k"])
	answer := db.Accept(t.Context(), []domain.Request{newRequest(c.Now(), withKey(last, c.Now()))})[0]
	require.Equal(t, ports.AcceptedSame, answer.Outcome)
	require.Equal(t, heir.ID, answer.Record.ID)
	c.advance(t, db, time.Minute)
	require.Zero(t, db.count(t)["k"])
}
