package embedded

import (
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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

// lowOptions are for a database with one request that is due and one with an idempotency key, on a disk that is low.
func lowOptions(t *testing.T, c *clock) (opts Options, first, second domain.Request) {
	t.Helper()
	opts = testOptions(t.TempDir(), c.Now)
	db := open(t, opts)
	first, second = newRequest(c.Now(), withKey("k", c.Now().Add(time.Hour))), newRequest(c.Now())
	accept(t, db, first, second)
	require.NoError(t, db.Close())
	opts.MinFree = math.MaxUint64
	return opts, first, second
}

func TestALowDiskAcceptsNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	opts, first, second := lowOptions(t, c)
	db := open(t, opts)
	for _, err := range errorsOf(db.Accept(t.Context(), []domain.Request{newRequest(c.Now()), newRequest(c.Now())})) {
		require.ErrorIs(t, err, ports.ErrStorageLow)
		require.ErrorContains(t, err, "embedded.min_free")
		require.ErrorContains(t, err, opts.Dir)
	}
	repeat := db.Accept(t.Context(), []domain.Request{newRequest(c.Now(), withKey("k", c.Now()))})[0]
	require.NoError(t, repeat.Err, "it takes no room")
	require.Equal(t, first.ID, repeat.Record.ID)
	_, err := db.Cancel(t.Context(), second.ID)
	require.NoError(t, err)
	require.NoError(t, db.Probe(t.Context()))
	require.ErrorIs(t, db.Disk().Probe(t.Context()), ports.ErrStorageLow)
}

func TestOnALowDiskNoCallBeginsAndWhatHasBegunEnds(t *testing.T) {
	t.Parallel()
	c := newClock()
	opts, first, _ := lowOptions(t, c)
	low := opts.MinFree
	opts.MinFree = 0
	db := open(t, opts)
	w := consume(t, db)
	begun := receive(t, w, 1)[0]
	db.disk.mu.Lock()
	db.disk.minimum = low
	db.disk.mu.Unlock()
	c.advance(t, db, 2*time.Second)
	finish(t, w, begun, outcome(domain.Completed, c.Now()))

	for range 3 {
		held, cancel := context.WithCancel(t.Context())
		received := make(chan error, 1)
		go func() {
			_, err := w.Receive(held, ports.Credit{Count: 1, Bytes: 1 << 20})
			received <- err
		}()
		require.Eventually(t, func() bool { return db.holds(t) }, 10*time.Second, time.Millisecond)
		cancel()
		require.ErrorIs(t, <-received, context.Canceled)
	}
	record, err := db.State(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, record.Status)

	db.disk.mu.Lock()
	db.disk.minimum = 0
	db.disk.mu.Unlock()
	c.advance(t, db, 2*time.Second)
	next := receive(t, w, 1)[0]
	require.Equal(t, 1, next.Deliveries, "waiting for room is no delivery")
}

// holds reports whether requests are held for lack of room.
func (db *DB) holds(t *testing.T) (held bool) {
	t.Helper()
	require.NoError(t, db.do(t.Context(), 0, func(*txn) error {
		held = db.held
		return nil
	}))
	return held
}

func TestCallsInProgressFitOnTheDiskWithTheirResponses(t *testing.T) {
	t.Parallel()
	c := newClock()
	opts := testOptions(t.TempDir(), c.Now)
	opts.MaxResponse = math.MaxInt64 // one fits on no disk
	db := open(t, opts)
	w := consume(t, db)
	accept(t, db, newRequest(c.Now()), newRequest(c.Now()))
	only := receive(t, w, 2)
	require.Len(t, only, 1, "one is always tried")
	require.False(t, db.holds(t))
	finish(t, w, only[0], outcome(domain.Completed, c.Now()))
	require.Len(t, receive(t, w, 2), 1)
}

func TestTheDiskIsAskedOnceASecond(t *testing.T) {
	t.Parallel()
	c := newClock()
	dir := t.TempDir()
	marker := filepath.Join(dir, markerName)
	write(t, marker, markerReady)
	write(t, filepath.Join(dir, databaseName, "x"), "")
	disk, err := newDisk(&Options{Dir: dir, Now: c.Now, FS: vfs.Default, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, disk.check())
	aside := filepath.Join(t.TempDir(), "aside")
	require.NoError(t, os.Rename(dir, aside))
	require.NoError(t, disk.check(), "the answer of a moment ago")
	c.now = c.now.Add(time.Second)
	require.ErrorIs(t, disk.check(), ports.ErrUnavailable)
	require.ErrorContains(t, disk.check(), dir)
	require.NoError(t, os.Rename(aside, dir))
	require.Error(t, disk.check())
	c.now = c.now.Add(-time.Minute)
	require.NoError(t, disk.check(), "a clock that was set back does not stop the asking")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, databaseName)))
	c.now = c.now.Add(time.Second)
	require.ErrorContains(t, disk.check(), "moved, deleted or replaced")
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
