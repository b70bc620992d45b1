package bootstrap

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// watched is a rotation of one file whose content is the value in use.
type watched struct {
	*rotations

	t     *testing.T
	path  string
	value string
	log   bytes.Buffer
}

var errHalf = errors.New("only half of it")

// newWatched refuses what begins with "half".
func newWatched(t *testing.T, path string) *watched {
	t.Helper()
	w := &watched{t: t, path: path}
	w.rotations = newRotations(slog.New(slog.NewTextHandler(&w.log, nil)))
	w.add("shop", []string{path}, func() error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(data, []byte("half")) {
			return errHalf
		}
		w.value = string(data)
		return nil
	})
	return w
}

func (w *watched) write(content string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.path, []byte(content), 0o600))
}

// see looks at the files and returns the value in use.
func (w *watched) see() string {
	w.look(w.all[0])
	return w.value
}

func secretFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	return path
}

func TestAChangedFileIsReadOnceItDoesNotChangeAnyMore(t *testing.T) {
	t.Parallel()
	w := newWatched(t, secretFile(t))
	require.Empty(t, w.see(), "what is in use is not read again")
	w.write("ne")
	require.Empty(t, w.see())
	w.write("new")
	require.Empty(t, w.see(), "it has changed since the last look")
	require.Equal(t, "new", w.see())

	w.value = ""
	require.Empty(t, w.see(), "it is in use")
	require.Equal(t, 1, strings.Count(w.log.String(), "\n"), w.log.String())
}

func TestAFileThatCannotBeUsedChangesNothingAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	w := newWatched(t, secretFile(t))
	for _, spoil := range map[string]func(){
		"half":  func() { w.write("half") },
		"empty": func() { w.write("") },
		"gone":  func() { require.NoError(t, os.Remove(w.path)) },
	} {
		w.log.Reset()
		spoil()
		for range 5 {
			require.NotContains(t, w.see(), "half")
		}
		require.Equal(t, 1, strings.Count(w.log.String(), "level=WARN"), w.log.String())
		require.Contains(t, w.log.String(), "of=shop")

		w.write("whole")
		w.see()
		require.Equal(t, "whole", w.see())
	}
}

// Kubernetes replaces the files of a Secret by renaming a symbolic link to their directory.
func TestFilesBehindSymbolicLinksAreSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"1", "2"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, version, "secret"), []byte(version), 0o600))
	}
	require.NoError(t, os.Symlink("1", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/secret", filepath.Join(dir, "secret")))
	w := newWatched(t, filepath.Join(dir, "secret"))
	require.NoError(t, os.Symlink("2", filepath.Join(dir, "..new")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")))
	w.see()
	require.Equal(t, "2", w.see())
}

func TestAChangeIsInUseWithinTenSeconds(t *testing.T) {
	t.Parallel()
	path := secretFile(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, path)
		loop := newSupervisor(w.logger).start("rotation", w.run)
		<-time.After(rotationPause / 2)
		w.write("new")
		<-time.After(10 * time.Second)
		require.NoError(t, loop.end(t.Context()))
		require.Equal(t, "new", w.value)
	})
}

func TestNothingIsWatchedWithoutFiles(t *testing.T) {
	t.Parallel()
	r := newRotations(slog.New(slog.DiscardHandler))
	r.add("shop", nil, func() error { return errHalf })
	require.Empty(t, r.all)
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	t.Parallel()
	_, err := readRegular(t.TempDir())
	require.ErrorIs(t, err, errNotRegular)
	_, err = readRegular(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
