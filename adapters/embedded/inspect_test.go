package embedded

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestCheckCountsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := Open(testOptions(dir, time.Now))
	require.NoError(t, err)
	w := consume(t, db)
	for _, status := range []domain.Status{domain.Completed, domain.Failed} {
		accept(t, db, newRequest(time.Now()))
		finish(t, w, receive(t, w, 1)[0], outcome(status, time.Now()))
	}
	accept(t, db, newRequest(time.Now()))
	_, err = Check(dir)
	require.ErrorContains(t, err, "in use by another process")
	require.NoError(t, db.Close())

	found, err := Check(dir)
	require.NoError(t, err)
	require.Empty(t, found.Damage)
	require.Equal(t, map[domain.Status]int{domain.Completed: 1, domain.Failed: 1, domain.Pending: 1}, found.Records)
	require.Equal(t, 1, found.DeadLetters)
}

func TestCheckFindsDamageAndRepairMendsTheLog(t *testing.T) {
	t.Parallel()
	dir, reqs := closedWithLog(t)
	truncate(0.5)(t, theLog(t, dir))
	for range 2 {
		found, err := Check(dir)
		require.NoError(t, err)
		require.Len(t, found.Damage, 1)
		require.ErrorContains(t, found.Damage[0], string(reqs[len(reqs)-1].ID))
	}
	var log strings.Builder
	require.NoError(t, Repair(dir, slog.New(slog.NewTextHandler(&log, nil))))
	require.Contains(t, log.String(), "accepted requests")
	found, err := Check(dir)
	require.NoError(t, err)
	require.Empty(t, found.Damage)
	require.Positive(t, found.Records[domain.Pending])
}

func TestCheckNamesAResponseThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir, reqs := closedWithLog(t)
	db, err := Open(testOptions(dir, time.Now))
	require.NoError(t, err)
	require.NoError(t, db.kv.Delete(idKey(prefixRequest, reqs[7].ID), nil))
	require.NoError(t, db.Close())
	found, err := Check(dir)
	require.NoError(t, err)
	require.Equal(t, 1, found.Unreadable)
	require.ErrorContains(t, found.Damage[0], string(reqs[7].ID))
}

func TestABackupIsADataDirectory(t *testing.T) {
	t.Parallel()
	dir, reqs := closedWithLog(t)
	target := filepath.Join(t.TempDir(), "a", "backup")
	require.NoError(t, Backup(dir, target))
	require.ErrorContains(t, Backup(dir, target), "it exists")
	db := open(t, testOptions(target, time.Now))
	for _, r := range reqs {
		_, err := db.State(t.Context(), r.ID)
		require.NoError(t, err)
	}
	requirePrivate(t, target)
}

func TestAWrongPathIsNotMadeADataDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "typo")
	_, err := Check(dir)
	require.ErrorContains(t, err, "is not a data directory")
	require.ErrorContains(t, Repair(dir, slog.New(slog.DiscardHandler)), "is not a data directory")
	require.ErrorContains(t, Backup(dir, dir+"2"), "is not a data directory")
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}
