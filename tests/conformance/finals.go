package conformance

import (
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func finalStates() []testCase {
	return []testCase{
		{name: "a request is PENDING, PROCESSING and then final for all who read", run: statesAreVisible},
		{name: "what is finished never comes back", run: finishedNeverComesBack},
		{name: "a second finish is lost and changes nothing", run: secondFinishIsLost},
		{name: "a finish with an unknown token or id is lost and changes nothing", run: unknownTokensAreLost},
		{name: "one lost finish leaves the others alone", run: finishesAreAligned},
		{name: "a final without a response keeps that of an earlier attempt", run: finalKeepsResponse},
		{
			name: "a final is gone after its lifetime, an unfinished one is not", run: finalsExpire,
			settings: Settings{TTL: 300 * time.Millisecond},
		},
	}
}

func statesAreVisible(e *env) {
	w := e.consumer()
	for _, status := range []domain.Status{domain.Completed, domain.Failed, domain.TimedOut} {
		request := newRequest()
		e.accept(request)
		record := e.find(request.ID)
		require.Equal(e.t, domain.Pending, record.Status)
		require.Zero(e.t, record.Attempts)
		require.Zero(e.t, record.NextAttemptAt)

		d := e.one(w)
		record = e.find(request.ID)
		require.Equal(e.t, domain.Processing, record.Status)
		require.False(e.t, record.UpdatedAt.Before(request.SubmittedAt))

		out := failed(d)
		out.Status, out.Reason, out.Error = status, domain.ReasonDeadline, "why"
		e.finish(w, d, out)
		for range 2 { // once more after reopening
			record = e.find(request.ID)
			require.Equal(e.t, status, record.Status)
			require.Equal(e.t, status, e.state(request.ID).Status)
			require.Equal(e.t, 1, record.Attempts)
			require.Equal(e.t, domain.ReasonDeadline, record.Result.Reason)
			require.Equal(e.t, "why", record.Result.Error)
			require.Nil(e.t, record.Result.Response)
			require.WithinDuration(e.t, out.At, record.Result.CompletedAt, 0)
			require.WithinDuration(e.t, out.At, record.UpdatedAt, 0)
			e.reopen()
		}
		w = e.consumer()
	}
}

func finishedNeverComesBack(e *env) {
	w := e.consumer()
	e.accept(newRequests(30)...)
	for i, d := range e.collect(w, 30) {
		out := completed(d)
		if i%3 == 0 {
			out = failed(d)
		}
		e.finish(w, d, out)
	}
	e.nothing(w, plenty(100))
	e.reopen()
	last := newRequest()
	e.accept(last)
	w = e.consumer()
	require.Equal(e.t, []domain.ID{last.ID}, ids(e.receive(w, plenty(100))))
	e.nothing(w, plenty(100))
}

func secondFinishIsLost(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(w)
	e.finish(w, d, completed(d))
	before := e.find(request.ID)

	for _, out := range []domain.Outcome{completed(d), failed(d), again(d, now()), released(d, now())} {
		out.Response = newResponse(http.StatusTeapot, "late")
		require.ErrorIs(e.t, e.tryFinish(w, d, out), ports.ErrLost)
	}
	require.Equal(e.t, before, e.find(request.ID))
	e.nothing(w, plenty(1))
	e.requireDepth(ports.Depths{})
}

func unknownTokensAreLost(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	e.requireLost(w, ports.Delivery{Request: request, Token: "0"})
	d := e.one(w)
	e.finish(w, d, again(d, now()))
	e.requireLost(w, d) // waiting for its next attempt
	current := e.one(w)
	require.NotEqual(e.t, d.Token, current.Token)
	e.requireLost(w, d) // held under another token
	for _, token := range []string{"", "0", "-1", "99999999999999999999999", "\x00"} {
		e.requireLost(w, ports.Delivery{Request: request, Token: token})
	}
	require.ErrorIs(e.t, e.tryFinish(w, ports.Delivery{Request: newRequest(), Token: current.Token}, completed(d)),
		ports.ErrLost)
	require.NoError(e.t, current.Lease.Err())
	e.finish(w, current, completed(current))
}

// requireLost finishes a delivery that its holder does not have.
func (e *env) requireLost(w ports.Work, d ports.Delivery) {
	e.t.Helper()
	before := e.find(d.Request.ID)
	require.ErrorIs(e.t, e.tryFinish(w, d, completed(d)), ports.ErrLost)
	require.Equal(e.t, before, e.find(d.Request.ID), "a lost finish changes nothing")
}

func finishesAreAligned(e *env) {
	w := e.consumer()
	e.accept(newRequests(6)...)
	deliveries := e.collect(w, 6)
	finishes := make([]ports.Finish, 0, len(deliveries)+1)
	for i, d := range deliveries {
		if i%2 == 1 {
			d.Token = "stale"
		}
		finishes = append(finishes, finishOf(d, completed(d)))
	}
	finishes = append(finishes, finishes[0]) // the same twice in one call
	errs := w.Finish(e.ctx, finishes)
	require.Len(e.t, errs, len(finishes))
	for i, d := range deliveries {
		if i%2 == 1 {
			require.ErrorIs(e.t, errs[i], ports.ErrLost)
			require.Equal(e.t, domain.Processing, e.state(d.Request.ID).Status)
			continue
		}
		require.NoError(e.t, errs[i])
		require.Equal(e.t, domain.Completed, e.state(d.Request.ID).Status)
	}
	require.ErrorIs(e.t, errs[len(finishes)-1], ports.ErrLost)
}

func finalKeepsResponse(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	for _, body := range []string{"first", "second"} {
		d := e.one(w)
		out := again(d, now())
		out.Response = newResponse(http.StatusServiceUnavailable, body)
		e.finish(w, d, out)
		require.Equal(e.t, domain.Pending, e.find(request.ID).Status)
	}
	e.reopen()
	w = e.consumer()
	d := e.one(w)
	require.True(e.t, d.Answered)
	e.finish(w, d, failed(d))
	record := e.find(request.ID)
	require.Equal(e.t, 3, record.Attempts)
	e.requireResponse(newResponse(http.StatusServiceUnavailable, "second"), record.Result.Response)
}

func finalsExpire(e *env) {
	w := e.consumer()
	done, delayed := newRequest(), newRequest(notBefore(now().Add(time.Minute)))
	e.accept(done, delayed)
	d := e.one(w)
	e.finish(w, d, completed(d))
	require.Equal(e.t, domain.Completed, e.find(done.ID).Status)
	e.eventually(func() bool { return e.gone(done.ID) }, "the record is never deleted")
	require.Equal(e.t, domain.Pending, e.find(delayed.ID).Status)
	_, err := e.Results.Wait(e.ctx, done.ID)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
}
