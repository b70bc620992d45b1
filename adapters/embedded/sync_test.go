package embedded

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// heldDisk is a disk whose syncs can be held up.
type heldDisk struct {
	mu       sync.Mutex
	released chan struct{} // nil: nothing is held up
	held     int
}

// inject holds up what makes data durable, and lets all else pass. It is an errorfs.InjectorFunc.
func (d *heldDisk) inject(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
	default:
		return nil
	}
	d.mu.Lock()
	released := d.released
	if released != nil {
		d.held++
	}
	d.mu.Unlock()
	if released != nil {
		<-released
	}
	return nil
}

func (d *heldDisk) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released, d.held = make(chan struct{}), 0
}

// end lets go, and returns how many syncs were held up.
func (d *heldDisk) end() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.released)
	d.released = nil
	return d.held
}

// TestNothingIsAnsweredBeforeItIsSynced holds the sync up: as long as it lasts, nobody may have got an answer.
func TestNothingIsAnsweredBeforeItIsSynced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := &heldDisk{}
		opts := testOptions(dir, time.Now)
		opts.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(disk.inject))
		db := open(t, opts)
		w := consume(t, db)
		first, second := newRequest(time.Now()), newRequest(time.Now())
		var d ports.Delivery
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"accept", func() { accept(t, db, first, second) }},
			{"begin", func() { d = receive(t, w, 1)[0] }},
			{"finish", func() { finish(t, w, d, outcome(domain.Completed, time.Now())) }},
			{"cancel", func() {
				_, err := db.Cancel(t.Context(), second.ID)
				require.NoError(t, err)
			}},
		} {
			disk.begin()
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				step.do()
			}()
			synctest.Wait() // until nothing can go on by itself
			select {
			case <-answered:
				t.Errorf("%s was answered while the disk had not confirmed it", step.name)
			default:
			}
			require.Positive(t, disk.end(), step.name)
			<-answered
		}
	})
}
