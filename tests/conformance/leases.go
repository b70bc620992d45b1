package conformance

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// short is a lease for cases that wait for its end. Long enough for a busy machine to extend it in time.
const short = time.Second

func leases() []testCase {
	settings := Settings{Lease: short}
	return []testCase{
		{
			name: "a lease that ran out hands over, and the old holder changes nothing", run: leaseHandsOver,
			settings: settings,
		},
		{name: "a lease is kept for as long as its holder lives", run: leaseIsKept, settings: settings},
		{name: "a crash loses nothing", run: crashLosesNothing, settings: settings},
		{
			name: "deliveries count up over crashes, survive reopening and start from zero after an outcome",
			run:  deliveriesCount, settings: settings,
		},
		{name: "what a crashed consumer had finished stays finished", run: crashAfterFinish, settings: settings},
		{name: "a crash between attempts keeps attempts and answers", run: crashKeepsAttempts, settings: settings},
	}
}

func leaseHandsOver(e *env) {
	old, kill := e.mortal()
	request := newRequest()
	e.accept(request)
	lost := e.one(old)
	require.NoError(e.t, lost.Lease.Err())
	kill()

	w := e.consumer()
	d := e.one(w)
	require.Equal(e.t, request.ID, d.Request.ID)
	e.requireRequest(request, d.Request)
	require.Equal(e.t, 2, d.Deliveries)
	require.Zero(e.t, d.Attempts)
	require.NotEqual(e.t, lost.Token, d.Token)
	<-lost.Lease.Done()

	before := e.find(request.ID)
	require.Equal(e.t, domain.Processing, before.Status)
	for _, out := range []domain.Outcome{completed(lost), failed(lost), again(lost, now())} {
		require.ErrorIs(e.t, e.tryFinish(w, lost, out), ports.ErrLost)
		require.ErrorIs(e.t, e.tryFinish(old, lost, out), ports.ErrLost)
	}
	require.Equal(e.t, before, e.find(request.ID))
	require.NoError(e.t, d.Lease.Err())
	e.finish(w, d, completed(d))
	require.Equal(e.t, domain.Completed, e.find(request.ID).Status)
	e.requireNothingLeft(w)
}

func leaseIsKept(e *env) {
	holder, other := e.consumer(), e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(holder)
	e.nothingFor(3*short, other, plenty(1))
	require.NoError(e.t, d.Lease.Err())
	require.Equal(e.t, domain.Processing, e.state(request.ID).Status)
	e.finish(holder, d, completed(d))
	require.Equal(e.t, 1, e.find(request.ID).Attempts)
}

func crashLosesNothing(e *env) {
	reqs := newRequests(40)
	e.accept(reqs...)
	dying, kill := e.mortal()
	held := make(map[domain.ID]bool)
	for _, d := range e.collect(dying, 15) {
		held[d.Request.ID] = true
	}
	kill()
	w := e.consumer()
	deliveries := e.collect(w, len(reqs))
	e.requireIDs(requestIDs(reqs), ids(deliveries))
	for _, d := range deliveries {
		want := 1
		if held[d.Request.ID] {
			want = 2
		}
		require.Equal(e.t, want, d.Deliveries)
		e.finish(w, d, completed(d))
	}
	e.requireNothingLeft(w)
}

func deliveriesCount(e *env) {
	request := newRequest()
	e.accept(request)
	for n := 1; n <= 4; n++ {
		w, kill := e.mortal()
		d := e.one(w)
		require.Equal(e.t, n, d.Deliveries)
		require.Equal(e.t, n, e.state(request.ID).Deliveries)
		kill()
		if n%2 == 0 {
			e.reopen()
		}
	}
	w := e.consumer()
	d := e.one(w)
	require.Equal(e.t, 5, d.Deliveries)
	e.finish(w, d, again(d, now()))
	d = e.one(w)
	require.Equal(e.t, 1, d.Deliveries, "after an outcome")
	require.Equal(e.t, 1, d.Attempts)
	e.finish(w, d, released(d, now()))
	d = e.one(w)
	require.Equal(e.t, 1, d.Deliveries, "after a release")
	require.Equal(e.t, 1, d.Attempts)
	released := released(d, now())
	released.Deliveries = 2
	e.finish(w, d, released)
	require.Equal(e.t, 2, e.state(request.ID).Deliveries)
	require.Equal(e.t, 3, e.one(w).Deliveries, "after a release that counts earlier deliveries")
}

func crashAfterFinish(e *env) {
	dying, kill := e.mortal()
	reqs := newRequests(10)
	e.accept(reqs...)
	var left []domain.ID
	for i, d := range e.collect(dying, len(reqs)) {
		if i%2 == 0 {
			e.finish(dying, d, completed(d))
		} else {
			left = append(left, d.Request.ID)
		}
	}
	kill()
	w := e.consumer()
	e.requireIDs(left, ids(e.collect(w, len(left))))
	e.nothing(w, plenty(10))
}

func crashKeepsAttempts(e *env) {
	dying, kill := e.mortal()
	request := newRequest()
	e.accept(request)
	d := e.one(dying)
	out := again(d, now())
	out.Response = newResponse(503, "busy")
	e.finish(dying, d, out)
	e.one(dying)
	kill()

	d = e.one(e.consumer())
	require.Equal(e.t, 1, d.Attempts)
	require.True(e.t, d.Answered)
	require.Equal(e.t, 2, d.Deliveries)
}
