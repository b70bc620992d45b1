package conformance

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

// Benchmark measures what a backend costs by itself: no HTTP, no worker.
func Benchmark(b *testing.B, start Start) {
	for _, bench := range []struct {
		name string
		run  func(*testing.B, *env)
	}{
		{"Accept", benchmarkAccept}, {"Drain", benchmarkDrain}, {"EndToEnd", benchmarkEndToEnd},
	} {
		b.Run(bench.name, func(b *testing.B) {
			settings := Settings{Lease: time.Minute, TTL: time.Hour}
			e := newEnv(b.Context(), b, new(atomic.Int64), start, settings)
			e.open()
			b.ReportAllocs()
			bench.run(b, e)
			b.StopTimer()
			require.NoError(b, e.close())
		})
	}
}

// submitters is how many submit at once, as that many HTTP requests would.
const submitters = 64

// submit accepts n requests, one a call, from many callers.
func (e *env) submit(n int) {
	e.t.Helper()
	var callers sync.WaitGroup
	next := make(chan struct{}, submitters)
	for range submitters {
		callers.Go(func() {
			for range next {
				if err := acceptAll(e.ctx, e.Intake, newRequests(1)); err != nil {
					e.t.Error(err)
				}
			}
		})
	}
	for range n {
		next <- struct{}{}
	}
	close(next)
	callers.Wait()
}

func benchmarkAccept(b *testing.B, e *env) {
	b.Helper()
	b.ResetTimer()
	e.submit(b.N)
}

func benchmarkDrain(b *testing.B, e *env) {
	b.Helper()
	for left := b.N; left > 0; left -= 500 {
		e.accept(newRequests(min(500, left))...)
	}
	b.ResetTimer()
	e.drain(e.consumer(), b.N)
}

// drain receives and finishes n requests. While one group is finished the next is received, as a worker does it.
func (e *env) drain(w ports.Work, n int) {
	e.t.Helper()
	var finishing sync.WaitGroup
	for n > 0 {
		deliveries := e.receive(w, plenty(min(n, 64)))
		n -= len(deliveries)
		finishing.Wait()
		finishing.Go(func() { e.finishAll(w, deliveries) })
	}
	finishing.Wait()
}

func (e *env) finishAll(w ports.Work, deliveries []ports.Delivery) {
	finishes := make([]ports.Finish, len(deliveries))
	for i, d := range deliveries {
		finishes[i] = finishOf(d, completed(d))
	}
	for _, err := range w.Finish(e.ctx, finishes) {
		if err != nil {
			e.t.Error(err)
		}
	}
}

func benchmarkEndToEnd(b *testing.B, e *env) {
	b.Helper()
	w := e.consumer()
	b.ResetTimer()
	var submitting sync.WaitGroup
	submitting.Go(func() { e.submit(b.N) })
	e.drain(w, b.N)
	submitting.Wait()
}
