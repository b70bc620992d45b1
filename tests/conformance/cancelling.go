package conformance

import (
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func cancelling() []testCase {
	return []testCase{
		{name: "what is cancelled is never handed out", run: cancelledIsNeverHandedOut},
		{name: "cancelling again returns the same answer", run: cancelAgain},
		{name: "what is begun cannot be cancelled", run: begunCannotBeCancelled},
		{name: "what is final cannot be cancelled", run: finalCannotBeCancelled},
		{name: "of cancel and begin exactly one wins", run: cancelAgainstBegin},
	}
}

func cancelledIsNeverHandedOut(e *env) {
	w := e.consumer()
	ready, delayed, retried := newRequest(), newRequest(notBefore(now().Add(e.soon()))), newRequest(to("other"))
	e.accept(retried)
	d := e.one(w)
	out := again(d, now().Add(e.soon()))
	out.Response = newResponse(503, "busy")
	e.finish(w, d, out)
	e.accept(ready, delayed)
	for _, r := range []domain.Request{ready, delayed, retried} {
		record := e.cancel(r.ID)
		require.Equal(e.t, domain.Cancelled, record.Status)
		require.Equal(e.t, r.Endpoint, record.Endpoint)
		record = e.find(r.ID)
		require.Equal(e.t, domain.Cancelled, record.Status)
		require.Zero(e.t, record.NextAttemptAt)
		require.Nil(e.t, record.Result.Response)
	}
	require.Equal(e.t, 1, e.state(retried.ID).Attempts)
	e.requireNothingLeft(w)
	e.nothingFor(2*e.soon(), w, plenty(10))
	e.reopen()
	e.nothing(e.consumer(), plenty(10))
}

func cancelAgain(e *env) {
	request := newRequest()
	e.accept(request)
	first := e.cancel(request.ID)
	second := e.cancel(request.ID)
	require.Equal(e.t, domain.Cancelled, second.Status)
	require.WithinDuration(e.t, first.UpdatedAt, second.UpdatedAt, 0)
	e.reopen()
	require.Equal(e.t, domain.Cancelled, e.cancel(request.ID).Status)
}

// requireConflict cancels in vain.
func (e *env) requireConflict(id domain.ID, status domain.Status) {
	e.t.Helper()
	before := e.find(id)
	record, err := e.Intake.Cancel(e.ctx, id)
	require.ErrorIs(e.t, err, ports.ErrConflict)
	require.Equal(e.t, status, record.Status)
	require.Equal(e.t, id, record.ID)
	require.Equal(e.t, before, e.find(id))
}

func begunCannotBeCancelled(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(w)
	e.requireConflict(request.ID, domain.Processing)
	e.finish(w, d, released(d, now().Add(time.Hour)))
	require.Equal(e.t, domain.Cancelled, e.cancel(request.ID).Status, "handed back, it can")
}

func finalCannotBeCancelled(e *env) {
	w := e.consumer()
	for _, status := range []domain.Status{domain.Completed, domain.Failed, domain.TimedOut} {
		request := e.end(w, status, string(status))
		e.requireConflict(request.ID, status)
	}
}

// cancelAgainstBegin cancels requests while a crew works them off. Whoever comes first, the other must see it.
func cancelAgainstBegin(e *env) {
	reqs := newRequests(1000)
	e.accept(reqs...)
	crew := e.newCrew()
	for range 2 {
		crew.join(e.consumer(), 8)
	}
	// From both ends, so that it meets begun ones and waiting ones.
	outcomes := make([]error, len(reqs))
	var cancels errgroup.Group
	for half := range 2 {
		cancels.Go(func() error {
			for i := half; i < len(reqs); i += 2 {
				at := i
				if half == 1 {
					at = len(reqs) - i
				}
				_, outcomes[at] = e.Intake.Cancel(e.ctx, reqs[at].ID)
			}
			return nil
		})
	}
	require.NoError(e.t, cancels.Wait())
	for i, r := range reqs {
		status := e.final(crew, r.ID).Status
		if outcomes[i] == nil {
			require.Equal(e.t, domain.Cancelled, status)
			require.False(e.t, crew.handedOut(r.ID), "a cancelled request was handed out")
			continue
		}
		require.ErrorIs(e.t, outcomes[i], ports.ErrConflict)
		require.Equal(e.t, domain.Completed, status)
		require.True(e.t, crew.handedOut(r.ID))
	}
	require.NoError(e.t, crew.stop())
	e.requireDepth(ports.Depths{})
}
