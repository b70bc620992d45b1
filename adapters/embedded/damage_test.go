package embedded

import (
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// theLog returns the only write-ahead log of a closed database.
func theLog(t *testing.T, dir string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, databaseName, logPattern))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	return logs[0]
}

// closedWithLog makes a database whose rows are all in its log, and closes it.
func closedWithLog(t *testing.T) (dir string, reqs []domain.Request) {
	t.Helper()
	dir = t.TempDir()
	db, err := Open(testOptions(dir, time.Now))
	require.NoError(t, err)
	for range 100 {
		r := newRequest(time.Now())
		r.Body = make([]byte, 1000) // so that the log has several blocks
		accept(t, db, r)
		reqs = append(reqs, r)
	}
	require.NoError(t, db.Close())
	return dir, reqs
}

func TestAMissingEndOfTheLogFailsTheStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(*testing.T, string)
		want   string
	}{
		{"a lost log", remove, "at least 100 accepted requests"},
		{"an empty log", truncate(0), "at least 100 accepted requests"},
		{"a log cut short", truncate(0.5), "accepted requests"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, reqs := closedWithLog(t)
			log := theLog(t, dir)
			content, err := os.ReadFile(log)
			require.NoError(t, err)
			tt.damage(t, log)
			newest := reqs[len(reqs)-1].ID
			for _, message := range []string{tt.want, string(newest), "embedded.repair", filepath.Join(dir, databaseName)} {
				requireRefused(t, dir, message)
			}

			require.NoError(t, os.WriteFile(log, content, 0o600))
			db := open(t, testOptions(dir, time.Now))
			_, err = db.State(t.Context(), newest)
			require.NoError(t, err, "nothing was changed, so the missing part can be put back")
		})
	}
}

func TestARepairGoesOnWithWhatIsWhole(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(*testing.T, string)
		aside  int // logs kept
	}{
		{"a lost log", remove, 0},
		{"a log cut short", truncate(0.5), 1},
		{"a flipped byte", flip(0.5), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, reqs := closedWithLog(t)
			log := theLog(t, dir)
			tt.damage(t, log)
			damaged, _ := os.ReadFile(log)
			requireRefused(t, dir, "embedded.repair")

			opts := testOptions(dir, time.Now)
			opts.Repair = true
			db, err := Open(opts)
			require.NoError(t, err)
			_, err = db.State(t.Context(), reqs[len(reqs)-1].ID)
			require.ErrorIs(t, err, ports.ErrNotFound)
			db.requireConsistent(t)
			accept(t, db, newRequest(time.Now()))
			require.NoError(t, db.Close())
			aside, err := filepath.Glob(filepath.Join(dir, damagedName, "*"))
			require.NoError(t, err)
			require.Len(t, aside, tt.aside)
			for _, path := range aside {
				kept, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, damaged, kept, "as it was before the repair")
			}

			requireWorks(t, dir)
		})
	}
}

// flip inverts one bit.
func flip(part float64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		data[int(part*float64(len(data)))] ^= 0x10
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
}

// A block is as large as the value in it, and Pebble would look for the wrong bit for minutes.
func TestAFlippedBitInALargeBlockIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := Open(testOptions(dir, time.Now))
	require.NoError(t, err)
	first, large, small := newRequest(time.Now()), newRequest(time.Now()), newRequest(time.Now())
	first.ID, first.Body = "a", make([]byte, 8<<10) // in the first block, with what a start reads
	large.ID, small.ID = "b", "c"
	large.Body = make([]byte, 10<<20)
	_, _ = rand.Read(large.Body)
	_, _ = rand.Read(first.Body)
	accept(t, db, first, large, small)
	require.NoError(t, db.kv.Flush())
	require.NoError(t, db.Close())
	tables, err := filepath.Glob(filepath.Join(dir, databaseName, "*"+tableExtension))
	require.NoError(t, err)
	for _, table := range tables {
		if info, err := os.Stat(table); err == nil && info.Size() > 1<<20 {
			flip(0.5)(t, table)
		}
	}

	var log strings.Builder // the handler locks it
	opts := testOptions(dir, time.Now)
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	db = open(t, opts)
	w := consume(t, db)
	got := receive(t, w, 3)
	require.Len(t, got, 2, "the other one cannot be read")
	require.Equal(t, []domain.ID{first.ID, small.ID}, []domain.ID{got[0].Request.ID, got[1].Request.ID})
	record, err := db.Find(t.Context(), large.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, record.Status)
	require.Equal(t, domain.ReasonUndecodable, record.Result.Reason)
	err = db.Probe(t.Context())
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.ErrorContains(t, err, tableExtension)
	require.NoError(t, db.Close())
	require.Contains(t, log.String(), "has a wrong checksum", "found before Pebble's own search, which takes minutes")
}

func TestAMarkThatWasNotWrittenWholeSaysNothing(t *testing.T) {
	t.Parallel()
	want := highWater{group: 7, accepted: 1 << 40, newest: domain.ID(make([]byte, 128))}
	value := encodeMark(&want)
	require.Len(t, value, markBytes)
	got, ok := decodeMark(value)
	require.True(t, ok)
	require.Equal(t, want, got)
	for cut := range 100 {
		_, ok := decodeMark(value[:cut])
		require.False(t, ok)
		torn := append([]byte{}, value...)
		torn[cut] ^= 1
		_, ok = decodeMark(torn)
		require.False(t, ok, cut)
	}
}
