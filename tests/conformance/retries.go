package conformance

import (
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func retries() []testCase {
	return []testCase{
		{name: "a request waits for its time", run: notBeforeWaits},
		{name: "a retry waits for its time, with attempts as the outcome says", run: retryWaits},
		{name: "delays and retries survive reopening", run: delaysSurvive},
		{name: "many delays end each at its own time", run: manyDelays},
		{name: "what is delayed holds nothing up", run: delayedHoldsNothingUp},
		{name: "a release is due at once and charges nothing", run: releaseIsFree},
		{name: "a time that is past is at once", run: pastIsNow},
	}
}

// requireNotEarly receives one delivery, which must not come before its time.
func (e *env) requireNotEarly(w ports.Work, due time.Time) ports.Delivery {
	e.t.Helper()
	d := e.one(w)
	require.False(e.t, time.Now().Before(due), "a delivery came before its time")
	return d
}

func notBeforeWaits(e *env) {
	w := e.consumer()
	due := now().Add(e.soon())
	request := newRequest(notBefore(due))
	e.accept(request)
	record := e.state(request.ID)
	require.Equal(e.t, domain.Pending, record.Status)
	require.WithinDuration(e.t, due, record.NextAttemptAt, 0)
	d := e.requireNotEarly(w, due)
	e.requireRequest(request, d.Request)
	require.Zero(e.t, e.state(request.ID).NextAttemptAt)
}

func retryWaits(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(w)
	for attempts := 1; attempts <= 3; attempts++ {
		due := now().Add(e.soon())
		e.finish(w, d, again(d, due))
		record := e.state(request.ID)
		require.Equal(e.t, domain.Pending, record.Status)
		require.Equal(e.t, attempts, record.Attempts)
		require.WithinDuration(e.t, due, record.NextAttemptAt, 0)
		d = e.requireNotEarly(w, due)
		require.Equal(e.t, attempts, d.Attempts)
		require.False(e.t, d.Answered)
		e.requireRequest(request, d.Request)
	}
	e.finish(w, d, completed(d))
	require.Equal(e.t, 4, e.find(request.ID).Attempts)
}

func delaysSurvive(e *env) {
	w := e.consumer()
	retried := newRequest()
	e.accept(retried)
	d := e.one(w)
	due := now().Add(2 * e.soon())
	delayed := newRequest(notBefore(due))
	e.accept(delayed)
	e.finish(w, d, again(d, due))
	e.reopen()
	if e.harness.Traits.ApproximateDepth { // a message settled just before the crash counts until a worker has seen it
		require.EqualValues(e.t, 2, e.depth().Delayed)
	} else {
		e.requireDepth(ports.Depths{Delayed: 2})
	}
	w = e.consumer()
	attempts := make(map[domain.ID]int)
	for range 2 {
		d := e.requireNotEarly(w, due)
		attempts[d.Request.ID] = d.Attempts
	}
	require.Equal(e.t, map[domain.ID]int{retried.ID: 1, delayed.ID: 0}, attempts)
}

func manyDelays(e *env) {
	w := e.consumer()
	reqs := newRequests(200)
	due := make(map[domain.ID]time.Time)
	for i := range reqs {
		reqs[i].NotBefore = now().Add(time.Duration(rand.Int64N(int64(2 * e.soon()))))
		due[reqs[i].ID] = reqs[i].NotBefore
	}
	e.accept(reqs...)
	for len(due) > 0 {
		for _, d := range e.receive(w, plenty(10)) {
			require.Contains(e.t, due, d.Request.ID)
			require.False(e.t, time.Now().Before(due[d.Request.ID]), "a delivery came before its time")
			delete(due, d.Request.ID)
		}
	}
}

func delayedHoldsNothingUp(e *env) {
	w := e.consumer()
	e.accept(newRequests(1000, notBefore(now().Add(time.Hour)))...)
	ready := newRequests(10)
	e.accept(ready...)
	e.requireIDs(requestIDs(ready), ids(e.collect(w, len(ready))))
	e.nothing(w, plenty(1))
	e.requireDepth(ports.Depths{Delayed: 1000, Leased: 10})
}

func releaseIsFree(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(w)
	e.finish(w, d, again(d, now()))
	for range 5 {
		d = e.one(w)
		require.Equal(e.t, 1, d.Attempts)
		e.finish(w, d, released(d, now()))
		require.Equal(e.t, 1, e.state(request.ID).Attempts)
	}
	due := now().Add(e.soon())
	d = e.one(w)
	e.finish(w, d, released(d, due))
	require.Equal(e.t, 1, e.requireNotEarly(w, due).Attempts)
}

func pastIsNow(e *env) {
	w := e.consumer()
	request := newRequest(notBefore(now().Add(-time.Hour)))
	e.accept(request)
	d := e.one(w)
	e.finish(w, d, again(d, now().Add(-time.Hour)))
	d = e.one(w)
	e.finish(w, d, again(d, time.Time{}))
	require.Equal(e.t, 2, e.one(w).Attempts)
}
