package embedded

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// crashable is a database on a disk in memory that knows what was synced.
type crashable struct {
	*DB

	disk *vfs.MemFS
	opts Options
}

func openCrashable(t *testing.T, c *clock) *crashable {
	t.Helper()
	m := &crashable{disk: vfs.NewCrashableMem(), opts: testOptions(t.TempDir(), c.Now)}
	m.opts.FS = m.disk
	m.DB = open(t, m.opts)
	return m
}

// powerCut is the disk as a power cut would leave it at one moment, and what had been answered by then.
type powerCut struct {
	disk  *vfs.MemFS
	known map[domain.ID]domain.Status
}

// cut takes a copy of what is synced and of nothing else.
func (m *crashable) cut(known map[domain.ID]domain.Status) powerCut {
	return powerCut{disk: m.disk.CrashClone(vfs.CrashCloneCfg{}), known: maps.Clone(known)}
}

// reopen starts again on what a power cut left. The database must be closed: they share a directory.
func (m *crashable) reopen(t *testing.T, cut powerCut) *DB {
	t.Helper()
	opts := m.opts
	opts.FS = cut.disk
	db := open(t, opts)
	db.requireConsistent(t)
	return db
}

// TestWhatWasAnsweredIsSynced cuts the power right after each answer.
func TestWhatWasAnsweredIsSynced(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := openCrashable(t, c)
	w := consume(t, m.DB)
	known := map[domain.ID]domain.Status{}
	var cuts []powerCut
	answered := func(id domain.ID, status domain.Status) {
		known[id] = status
		cuts = append(cuts, m.cut(known))
	}

	for _, status := range []domain.Status{domain.Completed, domain.Pending, domain.Failed, domain.TimedOut} {
		r := newRequest(c.Now())
		accept(t, m.DB, r)
		answered(r.ID, domain.Pending)
		d := receive(t, w, 1)[0]
		answered(r.ID, domain.Processing)
		out := outcome(status, c.Now())
		out.NextAttemptAt = c.Now().Add(time.Minute)
		finish(t, w, d, out)
		answered(r.ID, status)
	}
	r := newRequest(c.Now())
	accept(t, m.DB, r)
	_, err := m.Cancel(t.Context(), r.ID)
	require.NoError(t, err)
	answered(r.ID, domain.Cancelled)
	require.NoError(t, m.Close())

	for _, cut := range cuts {
		db := m.reopen(t, cut)
		for id, status := range cut.known {
			record, err := db.Find(t.Context(), id)
			require.NoErrorf(t, err, "it was %s", status)
			if status == domain.Processing {
				require.Equal(t, 1, record.Deliveries, "it had been begun")
				status = domain.Pending // and nobody holds it any more
			}
			require.Equal(t, status, record.Status)
			if status == domain.Completed {
				require.Equal(t, "done", string(record.Result.Response.Body))
			}
		}
		require.NoError(t, db.Close())
	}
}

// The count of deliveries is what ends a request that kills its worker each time.
func TestABegunDeliveryIsCountedAcrossPowerCuts(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := openCrashable(t, c)
	r := newRequest(c.Now())
	accept(t, m.DB, r)
	for deliveries := 1; deliveries <= 3; deliveries++ {
		_, err := m.State(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, deliveries, receive(t, consume(t, m.DB), 1)[0].Deliveries)
		cut := m.cut(nil)
		require.NoError(t, m.Close())
		m.disk, m.DB = cut.disk, m.reopen(t, cut)
	}
}

// TestAPowerCutUnderLoadLosesNothing cuts the power while others are in the middle of their group commits.
func TestAPowerCutUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	const clients, requests, cuts = 8, 40, 10
	c := newClock()
	m := openCrashable(t, c)
	b := &book{machine: m, known: map[domain.ID]domain.Status{}, every: 2 * clients * requests / cuts}
	var group sync.WaitGroup
	for range clients {
		w := consume(t, m.DB)
		group.Go(func() {
			for range requests {
				if err := b.roundTrip(w, c.Now()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	require.NoError(t, m.Close())

	require.Len(t, b.cuts, cuts)
	for _, cut := range b.cuts {
		db := m.reopen(t, cut)
		for id, status := range cut.known {
			record, err := db.State(t.Context(), id)
			require.NoErrorf(t, err, "%s was %s", id, status)
			if status.Final() { // the others may have gone on
				require.Equal(t, status, record.Status)
			}
		}
		require.NoError(t, db.Close())
	}
}

// book notes what is answered, and cuts the power after every so many answers. It is safe for concurrent use.
type book struct {
	machine *crashable
	every   int

	mu      sync.Mutex
	known   map[domain.ID]domain.Status
	answers int
	cuts    []powerCut
}

func (b *book) answered(id domain.ID, status domain.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known[id].Final() { // the answer to Accept may be noted late
		b.known[id] = status
	}
	if b.answers++; b.answers%b.every == 0 {
		b.cuts = append(b.cuts, b.machine.cut(b.known))
	}
}

// roundTrip accepts a request and completes one, that or another's.
func (b *book) roundTrip(w *Consumer, now time.Time) error {
	r := newRequest(now)
	if answer := b.machine.Accept(context.Background(), []domain.Request{r})[0]; answer.Err != nil {
		return answer.Err
	}
	b.answered(r.ID, domain.Pending)
	deliveries, err := w.Receive(context.Background(), ports.Credit{Count: 1, Bytes: 1})
	if err != nil {
		return err
	}
	if err := tryFinish(w, deliveries[0], outcome(domain.Completed, now)); err != nil {
		return err
	}
	b.answered(deliveries[0].Request.ID, domain.Completed)
	return nil
}
