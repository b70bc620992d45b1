package bootstrap

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How an idle process returns memory. Go collects garbage when the heap has grown, so a process that stops allocating
// keeps the garbage of its last burst: at least until Go's own collection after two minutes, and much of it for long
// after that.
const (
	idleCheck  = 5 * time.Second
	idleAllocs = 8 * mebibyte  // a process that allocates less between two checks is idle
	idleKept   = 32 * mebibyte // unused memory that is not worth a collection
)

// idleMemory returns memory to the system while the process is idle.
type idleMemory struct {
	allocated uint64 // at the last check, in total since the start
	returned  uint64 // allocated when memory was last returned
}

// newIdleMemory returns the loop.
func newIdleMemory() background {
	return background{Loops: []backgroundLoop{{name: "return of idle memory", run: new(idleMemory).run}}}
}

// run blocks until ctx ends.
func (m *idleMemory) run(ctx context.Context) error {
	ticker := time.NewTicker(idleCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if m.due(readHeap()) {
			debug.FreeOSMemory()
		}
	}
}

// heap is how much memory the process has, in bytes.
type heap struct {
	allocated uint64 // in total since the start
	kept      uint64 // taken from the system and not used by live objects or garbage, or garbage
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	total, released, live := samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()
	return heap{allocated: samples[0].Value.Uint64(), kept: total - min(total, released+live)}
}

// due reports whether the process is idle and has memory to return. After a return it is not due again before the
// process has worked: what is left is in use.
func (m *idleMemory) due(h heap) bool {
	idle := h.allocated-m.allocated < idleAllocs
	m.allocated = h.allocated
	if !idle || h.kept < idleKept || m.returned != 0 && h.allocated-m.returned < idleAllocs {
		return false
	}
	m.returned = h.allocated
	return true
}
