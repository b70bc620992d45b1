package embedded

import (
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

func TestABackupHoldsWhatWasConfirmedBeforeIt(t *testing.T) {
	t.Parallel()
	db := open(t, testOptions(t.TempDir(), time.Now))
	backups := db.Backups(filepath.Join(t.TempDir(), "new", "backups"))
	w := consume(t, db)
	accept(t, db, newRequest(time.Now()))
	done := receive(t, w, 1)[0]
	finish(t, w, done, outcome(domain.Completed, time.Now()))
	waiting := newRequest(time.Now())
	accept(t, db, waiting)

	first, err := backups.Backup(t.Context())
	require.NoError(t, err)
	later := newRequest(time.Now())
	accept(t, db, later)
	second, err := backups.Backup(t.Context())
	require.NoError(t, err)
	require.Greater(t, second, first, "names sort by age")

	found, err := Check(first)
	require.NoError(t, err)
	require.Empty(t, found.Damage)
	require.Equal(t, map[domain.Status]int{domain.Completed: 1, domain.Pending: 1}, found.Records)

	restored := open(t, testOptions(first, time.Now))
	require.Equal(t, waiting.ID, receive(t, consume(t, restored), 1)[0].Request.ID)
	_, err = restored.State(t.Context(), later.ID)
	require.ErrorIs(t, err, ports.ErrNotFound)
	found, err = Check(second)
	require.NoError(t, err)
	require.Equal(t, map[domain.Status]int{domain.Completed: 1, domain.Pending: 2}, found.Records)
}

// TestABackupTellsThatItsLogIsMissing holds that a backup has a mark of its own.
func TestABackupTellsThatItsLogIsMissing(t *testing.T) {
	t.Parallel()
	db := open(t, testOptions(t.TempDir(), time.Now))
	accept(t, db, newRequest(time.Now()))
	backup, err := db.Backups(t.TempDir()).Backup(t.Context())
	require.NoError(t, err)
	found, err := Check(backup)
	require.NoError(t, err)
	require.Empty(t, found.Damage)

	truncate(0)(t, theLog(t, backup))
	found, err = Check(backup)
	require.NoError(t, err)
	require.Len(t, found.Damage, 1)
	require.ErrorContains(t, found.Damage[0], "at least 1 accepted requests are gone")
}

// TestLogsAreEmptiedByTheirNumbers has numbers with more digits than Pebble writes at first.
func TestLogsAreEmptiedByTheirNumbers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"000017.log", "999998.log", "1000003.log", "strange.log"} {
		write(t, filepath.Join(dir, name), "content")
	}
	newest, err := newestLog(dir)
	require.NoError(t, err)
	require.Equal(t, uint64(math.MaxUint64), newest)
	require.NoError(t, os.Remove(filepath.Join(dir, "strange.log")))
	newest, err = newestLog(dir)
	require.NoError(t, err)
	require.Equal(t, uint64(1000003), newest)
	f := &files{FS: vfs.Default}
	require.NoError(t, f.emptyLogs(dir, 999998))
	for name, size := range map[string]int64{"000017.log": 0, "999998.log": 0, "1000003.log": 7} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, size, info.Size(), name)
	}
}

func TestABackupThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	dir := t.TempDir()
	name := filepath.Join(dir, c.Now().UTC().Format(backupName))
	require.NoError(t, os.Mkdir(name, privateDirectory)) // a backup of the same moment
	_, err := db.Backups(dir).Backup(t.Context())
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.DirExists(t, name, "it is somebody else's")

	require.NoError(t, db.Close())
	_, err = db.Backups(dir).Backup(t.Context())
	require.ErrorIs(t, err, ports.ErrClosed)
}
