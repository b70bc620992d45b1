package embedded

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// requireWorks opens the database and uses it.
func requireWorks(t *testing.T, dir string) {
	t.Helper()
	db, err := Open(testOptions(dir, time.Now))
	require.NoError(t, err)
	accept(t, db, newRequest(time.Now()))
	require.NoError(t, db.Close())
	marker, err := os.ReadFile(filepath.Join(dir, markerName))
	require.NoError(t, err)
	require.Equal(t, markerReady, string(marker))
}

// requireRefused opens the database in vain, and once more: the first try must not have made it look right.
func requireRefused(t *testing.T, dir, message string) {
	t.Helper()
	for range 2 {
		_, err := Open(testOptions(dir, time.Now))
		require.ErrorContains(t, err, message)
		require.ErrorContains(t, err, dir)
	}
}

// listing returns the names in a directory, but for the lock file and what is in the database's own directory.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		if e.Name() != lockName {
			names = append(names, e.Name())
		}
	}
	return names
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestOpenMakesTheDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	requireWorks(t, dir)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "what clients send is nobody else's business")
	requireWorks(t, dir)
}

func TestOpenRecoversFromACrashDuringCreation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give map[string]string // files
	}{
		{"nothing", nil},
		{"the root of a file system", map[string]string{"lost+found/x": ""}},
		{"the lock", map[string]string{lockName: ""}},
		{"a marker under way", map[string]string{lockName: "", newMarkerName: markerCreating[:10]}},
		{"the first marker", map[string]string{lockName: "", markerName: markerCreating}},
		{"an empty database directory", map[string]string{markerName: markerCreating, databaseName + "/LOCK": ""}},
		{"the second marker under way", map[string]string{markerName: markerCreating, newMarkerName: "openhqm"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range tt.give {
				write(t, filepath.Join(dir, name), text)
			}
			requireWorks(t, dir)
		})
	}
}

func TestOpenFinishesACreationWithItsDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := Open(testOptions(dir, time.Now))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	write(t, filepath.Join(dir, markerName), markerCreating)
	requireWorks(t, dir)
}

func TestOpenRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, text string
		want             string
	}{
		{"a file of somebody", "photo.jpg", "x", "it is not a data directory of OpenHQM"},
		{"a database without its marker", "db/CURRENT", "x", "it is not a data directory of OpenHQM"},
		{"a format of the future", markerName, "openhqm data, format 2, ready\n", "format 2"},
		{"an empty marker", markerName, "", "does not know"},
		{"a huge marker", markerName, string(make([]byte, 1<<20)), "does not know"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, tt.file), tt.text)
			before := listing(t, dir)
			requireRefused(t, dir, tt.want)
			require.Equal(t, before, listing(t, dir), "nothing is changed in it")
		})
	}
}

func TestOpenRefusesAFileForADirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "")
	_, err := Open(testOptions(path, time.Now))
	require.ErrorContains(t, err, path)
}

func TestALockThatCannotBeMadeIsNotAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, lockName), 0o700))
	_, err := Open(testOptions(dir, time.Now))
	require.ErrorContains(t, err, "lock data directory")
	require.NotContains(t, err.Error(), "in use")
}

func TestASecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, testOptions(dir, time.Now))
	accept(t, db, newRequest(time.Now()))
	requireRefused(t, dir, "is in use by another process")

	child := startChild(t, childOpen, dir)
	require.Contains(t, child.all(), "data directory "+dir+" is in use by another process")

	accept(t, db, newRequest(time.Now()))
	require.NoError(t, db.Close())
	requireWorks(t, dir)
}

func TestALostDatabaseIsNotAFreshStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	requireWorks(t, dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, databaseName)))
	requireRefused(t, dir, "damaged")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, databaseName), 0o700)) // empty
	requireRefused(t, dir, "damaged")
}

// madeToDamage makes a database with rows in its tables and, newer ones, in its log. It returns the ids of all.
func madeToDamage(t *testing.T, dir string) []domain.ID {
	t.Helper()
	db, err := Open(testOptions(dir, time.Now))
	require.NoError(t, err)
	var ids []domain.ID
	for i := range 400 {
		r := newRequest(time.Now())
		r.Body = make([]byte, 1000)
		accept(t, db, r)
		ids = append(ids, r.ID)
		if i == 200 {
			require.NoError(t, db.kv.Flush())
		}
	}
	require.NoError(t, db.Close())
	return ids
}

func TestDamageIsAnError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		damage     func(*testing.T, string)
	}{
		{"a lost manifest", "MANIFEST-*", remove},
		{"an empty manifest", "MANIFEST-*", truncate(0)},
		{"a manifest cut short", "MANIFEST-*", truncate(0.5)},
		{"a manifest with other bytes", "MANIFEST-*", scramble},
		{"a lost table", "*.sst", remove},
		{"an empty table", "*.sst", truncate(0)},
		{"a table cut short", "*.sst", truncate(0.5)},
		{"a table with other bytes", "*.sst", scramble},
		{"a log with other bytes", "*.log", scramble},
		{"a lost log", "*.log", remove},
		{"an empty log", "*.log", truncate(0)},
		{"a log cut short", "*.log", truncate(0.5)},
		{"a lost pointer to the manifest", "marker.manifest*", remove},
		{"a lost format version", "marker.format-version*", remove},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ids := madeToDamage(t, dir)
			files, err := filepath.Glob(filepath.Join(dir, databaseName, tt.file))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range files {
				tt.damage(t, file)
			}
			requireDamageIsSeen(t, dir, ids)
		})
	}
}

// requireDamageIsSeen accepts an error when the database is opened or a request is read, and no damage to what matters.
// It does not accept that a request is missing.
func requireDamageIsSeen(t *testing.T, dir string, ids []domain.ID) {
	t.Helper()
	db, err := Open(testOptions(dir, time.Now))
	if err != nil {
		require.ErrorContains(t, err, dir)
		return
	}
	defer func() { _ = db.Close() }()
	for _, id := range ids {
		if _, err := db.State(t.Context(), id); err != nil {
			require.ErrorIs(t, err, ports.ErrUnavailable, "a request is lost silently")
			return
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Remove(path))
}

// truncate cuts a file to a part of its length.
func truncate(part float64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, int64(part*float64(info.Size()))))
	}
}

// scramble changes bytes all over the middle of a file. In the end of a log it would be what a power cut leaves behind,
// which is no damage.
func scramble(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := len(data) / 3; i < len(data)*2/3; i += 97 {
		data[i] ^= 0x55
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
