package embedded

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestAMovedDirectoryIsOnlyOpenedToMoveIt(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir(), time.Now)
	for _, state := range []ports.MoveState{ports.MoveLeaving, ports.MoveLeft, ports.MoveArriving} {
		opts.Moving = true
		db, err := Open(opts)
		require.NoError(t, err)
		mark := ports.MoveMark{State: state, Move: "one", Peer: "redis elsewhere:6379"}
		require.NoError(t, db.Moves().SetMark(t.Context(), mark))
		got, err := db.Moves().Mark(t.Context())
		require.NoError(t, err)
		require.Equal(t, mark, got)
		require.NoError(t, db.Close())

		opts.Moving = false
		_, err = Open(opts)
		require.ErrorIs(t, err, ports.ErrMisconfigured)
		require.ErrorContains(t, err, "redis elsewhere:6379")
		require.ErrorContains(t, err, opts.Dir)
	}
	opts.Moving = true
	db, err := Open(opts)
	require.NoError(t, err)
	require.NoError(t, db.Moves().SetMark(t.Context(), ports.MoveMark{}))
	require.NoError(t, db.Close())
	opts.Moving = false
	open(t, opts)
}

func TestAnIDThatIsInUseIsAConflict(t *testing.T) {
	t.Parallel()
	clock := newClock()
	db := openFresh(t, clock)
	there, other := newRequest(clock.Now(), withKey("key", clock.Now().Add(time.Hour))), newRequest(clock.Now())
	accept(t, db, there)
	stored := func(r domain.Request, key *ports.StoredIdempotency) ports.Stored {
		return ports.Stored{ID: r.ID, Request: &r, Key: key, Record: &domain.Record{
			ID: r.ID, Status: domain.Pending, Endpoint: r.Endpoint, SubmittedAt: r.SubmittedAt, Deadline: r.Deadline,
		}}
	}
	impostor := there
	impostor.Endpoint = "another"
	key := &ports.StoredIdempotency{Idempotency: *there.Idempotency, SubmittedAt: there.SubmittedAt}
	errs := db.Moves().Import(t.Context(), []ports.Stored{
		stored(there, key), stored(impostor, key), stored(other, key), {ID: other.ID, Key: key}, {ID: there.ID, Key: key},
	})
	require.Equal(t, []error{nil, ports.ErrConflict, ports.ErrConflict, ports.ErrConflict, nil}, errs)
	_, err := db.State(t.Context(), other.ID)
	require.ErrorIs(t, err, ports.ErrNotFound)
}

// TestAMessageThatCannotBeKeptIsAConflict holds that it stays where it is.
func TestAMessageThatCannotBeKeptIsAConflict(t *testing.T) {
	t.Parallel()
	db := openFresh(t, newClock())
	letter := &ports.StoredLetter{DeadLetter: domain.DeadLetter{
		ID: "a", Status: domain.Failed, Original: domain.Original{Value: []byte("no JSON")},
	}}
	errs := db.Moves().Import(t.Context(), []ports.Stored{{ID: "a", Letter: letter}})
	require.Equal(t, []error{ports.ErrConflict}, errs)
	_, err := db.DeadLetters().Find(t.Context(), "a")
	require.ErrorIs(t, err, ports.ErrNotFound)
}

func TestAFullDiskEndsAnImport(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir(), time.Now)
	opts.MinFree = 1 << 60
	db := open(t, opts)
	r := newRequest(time.Now())
	errs := db.Moves().Import(t.Context(), []ports.Stored{{ID: r.ID, Request: &r, Record: &domain.Record{ID: r.ID}}})
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], ports.ErrStorageLow)
}

// TestWhatOutlivesItsRecordIsExportedToo has a dead letter and an idempotency key of requests whose records are gone.
func TestWhatOutlivesItsRecordIsExportedToo(t *testing.T) {
	t.Parallel()
	clock := newClock()
	db := openFresh(t, clock)
	c := consume(t, db)
	failed, keyed := newRequest(clock.Now()), newRequest(clock.Now(), withKey("key", clock.Now().Add(5*time.Hour)))
	accept(t, db, failed, keyed)
	for _, d := range receive(t, c, 2) {
		status := domain.Completed
		if d.Request.ID == failed.ID {
			status = domain.Failed
		}
		finish(t, c, d, outcome(status, clock.Now()))
	}
	clock.advance(t, db, testTTL+time.Minute)
	all := exported(t, db)
	require.Len(t, all, 2)
	require.Nil(t, all[failed.ID].Record)
	require.Equal(t, failed.Body, all[failed.ID].Letter.Request.Body)
	require.Nil(t, all[keyed.ID].Record)
	require.Equal(t, "key", all[keyed.ID].Key.Key)

	to := openFresh(t, clock)
	for _, one := range all {
		require.NoError(t, to.Moves().Import(t.Context(), []ports.Stored{one})[0])
		require.NoError(t, db.Moves().Remove(t.Context(), []ports.Stored{one}))
	}
	require.Equal(t, all, exported(t, to))
	require.Empty(t, exported(t, db))
}

func exported(t *testing.T, db *DB) map[domain.ID]ports.Stored {
	t.Helper()
	all := make(map[domain.ID]ports.Stored)
	require.NoError(t, db.Moves().Export(t.Context(), func(some []ports.Stored) error {
		for _, one := range some {
			all[one.ID] = one
		}
		return nil
	}))
	return all
}
