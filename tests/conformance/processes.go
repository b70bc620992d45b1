package conformance

import (
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
