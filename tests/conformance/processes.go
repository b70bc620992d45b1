package conformance

import (
	"context"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// processes are cases with two instances over one storage, as an api and a worker of their own have them.
func processes() []testCase {
	many := func(h Harness) bool { return !h.Traits.OneProcess }
	return []testCase{
		{
			name: "a second instance beside the first is refused", run: secondIsRefused,
			applies: func(h Harness) bool { return h.Traits.OneProcess },
		},
		{name: "what one accepts another works off, and waiters of the first wake", run: acrossProcesses, applies: many},
		{name: "consumers of two share the work, each request once", run: sharedByProcesses, applies: many},
		{name: "a pause is known to all, as long as it lasts", run: pausesAreShared, applies: many},
	}
}

func secondIsRefused(e *env) {
	_, err := e.harness.Open()
	require.Error(e.t, err)
	e.accept(newRequest()) // the first is not disturbed
	require.NoError(e.t, e.close())
	e.open()
	e.one(e.consumer())
}

// second opens another instance.
func (e *env) second() Instance {
	e.t.Helper()
	instance, err := e.harness.Open()
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = instance.Close() })
	return instance
}

func acrossProcesses(e *env) {
	other := e.second()
	w := other.NewConsumer(e.ctx)
	for range 10 {
		request := newRequest()
		d := e.woken(w, plenty(1), func() { e.accept(request) })
		require.Equal(e.t, request.ID, d.Request.ID)
		waits := e.waitMany(e.ctx, request.ID, 5, isFinal(domain.Completed))
		e.finish(w, d, completed(d))
		require.NoError(e.t, waits.Wait())
	}
	e.requireDepth(ports.Depths{})
	require.NoError(e.t, other.Close())
}

// pausesAreShared follows from before a pause began in one process, and from after that in another.
func pausesAreShared(e *env) {
	const length = 4 * time.Second
	ctx, cancel := context.WithCancel(e.ctx)
	var following sync.WaitGroup
	follow := func(p ports.Pauses) <-chan ports.Pause {
		found := make(chan ports.Pause, 1000)
		following.Go(func() { _ = p.Follow(ctx, func(pause ports.Pause) { found <- pause }) })
		return found
	}
	other := e.second()
	early := follow(other.Pauses)
	began := time.Now()
	long := ports.Pause{Endpoint: "a", URL: "http://backend.test/b", Left: length}
	short, elsewhere := long, long
	short.Left, elsewhere.URL = length/4, "http://other.test"
	for _, pause := range []ports.Pause{long, short, elsewhere} {
		require.NoError(e.t, e.Pauses.Pause(e.ctx, pause))
	}
	e.requirePause(early, began, long) // of two the one that ends later counts
	e.requirePause(early, began, elsewhere)
	third := e.second()
	late := follow(third.Pauses)
	e.requirePause(late, began, long)

	require.Eventually(e.t, func() bool {
		for len(early)+len(late) > 0 {
			select {
			case <-early:
			case <-late:
			}
		}
		return time.Since(began) > length+2*time.Second
	}, patience, pollEvery)
	require.Empty(e.t, early, "it is over")
	cancel()
	following.Wait()
	require.NoError(e.t, other.Close())
	require.NoError(e.t, third.Close())
	require.ErrorIs(e.t, other.Pauses.Pause(e.ctx, long), ports.ErrClosed)
	require.ErrorIs(e.t, other.Pauses.Follow(e.ctx, func(ports.Pause) {}), ports.ErrClosed)
}

// requirePause waits until a process finds a pause that was noted after it began, and checks what is left of it. Redis
// counts milliseconds.
func (e *env) requirePause(pauses <-chan ports.Pause, began time.Time, want ports.Pause) {
	e.t.Helper()
	for {
		var found ports.Pause
		select {
		case found = <-pauses:
		case <-e.ctx.Done():
			require.FailNow(e.t, "no process knows of the pause")
		}
		if found.Endpoint != want.Endpoint || found.URL != want.URL {
			continue
		}
		require.LessOrEqual(e.t, found.Left, want.Left)
		require.GreaterOrEqual(e.t, found.Left, want.Left-time.Since(began)-time.Millisecond)
		require.Positive(e.t, found.Left)
		return
	}
}

func sharedByProcesses(e *env) {
	other := e.second()
	crew := e.newCrew()
	crew.join(e.consumer(), 10)
	crew.join(other.NewConsumer(e.ctx), 10)
	reqs := newRequests(500)
	e.accept(reqs...)
	e.requireCompleted(crew, reqs)
	require.NoError(e.t, other.Close())
}
