package embedded

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requirePrivate fails if anybody but the user can read anything in a directory.
func requirePrivate(t *testing.T, dir string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		require.Zerof(t, info.Mode().Perm()&0o077, "%s has the mode %s", path, info.Mode())
		files++
		return nil
	}))
	require.Greater(t, files, 5)
}

func TestAllFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(dir, 0o777))
	db := open(t, testOptions(dir, time.Now))
	accept(t, db, newRequest(time.Now()))
	require.NoError(t, db.kv.Flush())
	requirePrivate(t, dir)
	require.NoError(t, db.Close())

	for _, path := range []string{dir, filepath.Join(dir, databaseName), filepath.Join(dir, markerName)} {
		require.NoError(t, os.Chmod(path, 0o755))
	}
	open(t, testOptions(dir, time.Now))
	requirePrivate(t, dir)
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{lockName, markerName, newMarkerName, databaseName, databaseName + "/000001.sst"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
			write(t, target, "precious")
			if name == databaseName+"/000001.sst" {
				require.NoError(t, os.Mkdir(filepath.Join(dir, databaseName), 0o700))
				write(t, filepath.Join(dir, markerName), markerReady)
			}
			if name == databaseName {
				write(t, filepath.Join(dir, markerName), markerReady)
			}
			require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
			requireRefused(t, dir, "links are not followed")
			content, err := os.ReadFile(target)
			require.NoError(t, err)
			require.Equal(t, "precious", string(content))
		})
	}
}

func TestALinkForADirectoryIsRefused(t *testing.T) {
	t.Parallel()
	target := t.TempDir()
	requireWorks(t, target)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(target, link))
	requireRefused(t, link, "is a symbolic link")
}

func TestADirectoryOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may change an owner")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chown(dir, 12345, 12345))
	requireRefused(t, dir, "belongs to another user")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}
