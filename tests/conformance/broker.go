package conformance

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// brokers are cases in which the broker goes away and comes back, with what it held. Nobody reopens anything.
func brokers() []testCase {
	hasBroker := func(h Harness) bool { return h.StopBroker != nil }
	return []testCase{
		{name: "while the broker is away nothing is confirmed", run: brokerAway, applies: hasBroker},
		{name: "a waiting Receive goes on when the broker is back", run: receiveOutlastsBroker, applies: hasBroker},
		{name: "a finish is repeated until the broker is back", run: finishOutlastsBroker, applies: hasBroker},
	}
}

// without runs f while the broker is away.
func (e *env) without(f func()) {
	e.t.Helper()
	require.NoError(e.t, e.harness.StopBroker())
	f()
	require.NoError(e.t, e.harness.StartBroker())
}

// briefly bounds a call that the broker cannot answer.
func (e *env) briefly() (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.ctx, 2*time.Second)
}

func brokerAway(e *env) {
	before := newRequest()
	e.accept(before)
	e.without(func() {
		ctx, cancel := e.briefly()
		defer cancel()
		require.ErrorIs(e.t, e.Intake.Accept(ctx, newRequests(1))[0].Err, ports.ErrUnavailable)
		_, err := e.Results.State(ctx, before.ID)
		require.ErrorIs(e.t, err, ports.ErrUnavailable)
	})
	e.eventually(func() bool { return acceptAll(e.ctx, e.Intake, newRequests(1)) == nil }, "Accept never works again")
	require.Equal(e.t, domain.Pending, e.state(before.ID).Status)
}

func receiveOutlastsBroker(e *env) {
	w := e.consumer()
	d := e.woken(w, plenty(1), func() {
		e.without(func() {})
		e.eventually(func() bool { return acceptAll(e.ctx, e.Intake, newRequests(1)) == nil },
			"Accept never works again")
	})
	e.finish(w, d, completed(d))
}

func finishOutlastsBroker(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(w)
	e.without(func() {
		ctx, cancel := e.briefly()
		defer cancel()
		require.ErrorIs(e.t, w.Finish(ctx, []ports.Finish{finishOf(d, completed(d))})[0], ports.ErrUnavailable)
	})
	e.eventually(func() bool {
		_ = w.Finish(e.ctx, []ports.Finish{finishOf(d, completed(d))}) // lost when it was saved the first time
		record, err := e.Results.State(e.ctx, request.ID)
		return err == nil && record.Status == domain.Completed
	}, "Finish never works again")
}
