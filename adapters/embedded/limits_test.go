package embedded

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func errorsOf(answers []ports.Accepted) []error {
	errs := make([]error, len(answers))
	for i := range answers {
		errs[i] = answers[i].Err
	}
	return errs
}

func TestALowDiskAcceptsNothingAndStillHandsOutEverything(t *testing.T) {
	t.Parallel()
	c := newClock()
	opts := testOptions(t.TempDir(), c.Now)
	db := open(t, opts)
	first, second := newRequest(c.Now(), withKey("k", c.Now().Add(time.Hour))), newRequest(c.Now())
	accept(t, db, first, second)
	require.NoError(t, db.Close())

	opts.MinFree = math.MaxUint64
	db = open(t, opts)
	for _, err := range errorsOf(db.Accept(t.Context(), []domain.Request{newRequest(c.Now()), newRequest(c.Now())})) {
		require.ErrorIs(t, err, ports.ErrFull)
		require.ErrorContains(t, err, "embedded.min_free")
	}
	repeat := db.Accept(t.Context(), []domain.Request{newRequest(c.Now(), withKey("k", c.Now()))})[0]
	require.NoError(t, repeat.Err, "it takes no room")
	require.Equal(t, first.ID, repeat.Record.ID)

	w := consume(t, db)
	finish(t, w, receive(t, w, 1)[0], outcome(domain.Completed, c.Now()))
	_, err := db.Cancel(t.Context(), second.ID)
	require.NoError(t, err)
	require.NoError(t, db.Probe(t.Context()))
}

func TestFreeSpaceIsAskedForOnceASecond(t *testing.T) {
	t.Parallel()
	c := newClock()
	dir := filepath.Join(t.TempDir(), "later")
	space := newFreeSpace(dir, 1, c.Now)
	require.ErrorIs(t, space.check(), ports.ErrUnavailable)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.Error(t, space.check(), "the answer of a moment ago")
	c.now = c.now.Add(time.Second)
	require.NoError(t, space.check())
	require.NoError(t, os.Remove(dir))
	require.NoError(t, space.check())
	c.now = c.now.Add(-time.Minute)
	require.Error(t, space.check(), "a clock that was set back does not stop the asking")
}

func TestMaxDepthCountsEverythingUnfinished(t *testing.T) {
	t.Parallel()
	c := newClock()
	opts := testOptions(t.TempDir(), c.Now)
	opts.MaxDepth = 3
	db := open(t, opts)
	w := consume(t, db)
	requireFull := func() {
		t.Helper()
		err := db.Accept(t.Context(), []domain.Request{newRequest(c.Now())})[0].Err
		require.ErrorIs(t, err, ports.ErrFull)
		require.ErrorContains(t, err, "queue.max_depth")
	}

	reqs := []domain.Request{newRequest(c.Now()), newRequest(c.Now()), newRequest(c.Now()), newRequest(c.Now())}
	reqs[1].NotBefore = c.Now().Add(time.Minute)
	errs := errorsOf(db.Accept(t.Context(), reqs))
	require.Equal(t, []error{nil, nil, nil}, errs[:3])
	require.ErrorIs(t, errs[3], ports.ErrFull)
	_, err := db.State(t.Context(), reqs[3].ID)
	require.ErrorIs(t, err, ports.ErrNotFound)

	d := receive(t, w, 1)[0]
	requireFull() // one is leased, one delayed
	retry := outcome(domain.Pending, c.Now())
	retry.NextAttemptAt = c.Now().Add(time.Minute)
	finish(t, w, d, retry)
	requireFull()
	_, err = db.Cancel(t.Context(), reqs[1].ID)
	require.NoError(t, err)
	accept(t, db, newRequest(c.Now()))
	requireFull()

	require.NoError(t, db.Close())
	db = open(t, opts)
	requireFull()
	w = consume(t, db)
	finish(t, w, receive(t, w, 1)[0], outcome(domain.Failed, c.Now()))
	accept(t, db, newRequest(c.Now()))
	requireFull()
}
