package conformance

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func depths() []testCase {
	exact := func(h Harness) bool { return !h.Traits.ApproximateDepth }
	return []testCase{
		{name: "ready, delayed and leased are counted, at every step", run: depthIsCounted},
		{name: "work that is settled leaves nothing", run: settledLeavesNothing},
		{name: "dead letters are counted", run: deadLettersAreCounted},
		{name: "the oldest ready request is known", run: oldestIsKnown, applies: exact},
	}
}

func depthIsCounted(e *env) {
	e.requireDepth(ports.Depths{})
	w := e.consumer()
	e.accept(newRequests(5, to("a"))...)
	e.accept(newRequests(2, to("b"), withPriority(9))...)
	later := newRequests(3, notBefore(now().Add(time.Hour)))
	e.accept(later...)
	e.requireDepth(ports.Depths{Ready: 7, Delayed: 3})

	held := e.collect(w, 4)
	e.requireDepth(ports.Depths{Ready: 3, Delayed: 3, Leased: 4})
	e.finish(w, held[0], completed(held[0]))
	e.requireDepth(ports.Depths{Ready: 3, Delayed: 3, Leased: 3})
	e.finish(w, held[1], again(held[1], now().Add(time.Hour)))
	e.requireDepth(ports.Depths{Ready: 3, Delayed: 4, Leased: 2})
	e.finish(w, held[2], released(held[2], now()))
	e.requireDepth(ports.Depths{Ready: 4, Delayed: 4, Leased: 1})
	e.finish(w, held[3], failed(held[3]))
	e.requireDepth(ports.Depths{Ready: 4, Delayed: 4, DeadLetters: 1})
	e.cancel(later[0].ID)
	e.requireDepth(ports.Depths{Ready: 4, Delayed: 3, DeadLetters: 1})

	e.reopen()
	if !e.harness.Traits.ApproximateDepth { // a message settled just before counts until a worker has seen it
		e.requireDepth(ports.Depths{Ready: 4, Delayed: 3, DeadLetters: 1})
	}
	w = e.consumer()
	for _, d := range e.collect(w, 4) {
		e.finish(w, d, completed(d))
	}
	e.requireDepthOnceSeen(w, ports.Depths{Delayed: 3, DeadLetters: 1})
}

func settledLeavesNothing(e *env) {
	w := e.consumer()
	const n = 500
	e.accept(newRequests(n)...)
	for i, d := range e.collect(w, n) {
		switch i % 3 {
		case 0:
			e.finish(w, d, completed(d))
		case 1:
			e.finish(w, d, released(d, now().Add(time.Hour)))
			e.cancel(d.Request.ID)
		default:
			e.finish(w, d, again(d, now()))
			d = e.one(w)
			e.finish(w, d, completed(d))
		}
	}
	e.requireDepth(ports.Depths{})
	require.Zero(e.t, e.depth().OldestReady)
	e.nothing(w, plenty(1))
	e.reopen()
	e.requireDepthOnceSeen(e.consumer(), ports.Depths{})
}

func deadLettersAreCounted(e *env) {
	w := e.consumer()
	for i, status := range []domain.Status{
		domain.Failed, domain.TimedOut, domain.Completed, domain.Cancelled, domain.Failed,
	} {
		e.end(w, status, string(rune('a'+i)))
	}
	e.requireDepthOnceSeen(w, ports.Depths{DeadLetters: 3})
	e.reopen()
	e.requireDepthOnceSeen(e.consumer(), ports.Depths{DeadLetters: 3})
}

func oldestIsKnown(e *env) {
	require.Zero(e.t, e.depth().OldestReady)
	began := now()
	e.accept(newRequests(3)...)
	e.accept(newRequest(notBefore(now().Add(-time.Hour)))) // ready since it was accepted
	oldest := e.depth().OldestReady
	require.False(e.t, oldest.Before(began))
	require.False(e.t, oldest.After(time.Now()))

	e.accept(newRequests(3, withPriority(9))...)
	e.reopen()
	require.WithinDuration(e.t, oldest, e.depth().OldestReady, 0)
	w := e.consumer()
	for e.depth().Ready > 2 {
		e.one(w)
	}
	require.False(e.t, e.depth().OldestReady.IsZero())
	e.collect(w, 2)
	require.Zero(e.t, e.depth().OldestReady, "what is leased does not wait")
}
