package conformance

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/moving"
)

// grace is how long after its deadline an unfinished request may still be unfinished.
const grace = 5 * time.Second

func deadlines() []testCase {
	return []testCase{
		{name: "a request that nobody answered ends in TIMEOUT by itself", run: deadlineUnanswered},
		{name: "a request that was answered before ends as FAILED", run: deadlineAnswered},
		{
			name: "what a crashed consumer held ends at its deadline too", run: deadlineAfterCrash,
			settings: Settings{Lease: short},
		},
		{name: "what is being worked on is not ended under its worker", run: deadlineUnderWorker},
	}
}

// endsAtDeadline waits until the request is final, without anybody doing anything.
func (e *env) endsAtDeadline(r domain.Request) domain.Record {
	e.t.Helper()
	left := time.Until(r.Deadline)
	clock, stop := moving.StartClock(e.ctx, func(ctx context.Context) { _, _ = e.Gauge.Depths(ctx) })
	defer stop()
	_, err := e.Results.Wait(e.ctx, r.ID)
	require.NoError(e.t, err)
	record := e.find(r.ID)
	require.False(e.t, time.Now().Before(r.Deadline), "ended before its deadline")
	require.Less(e.t, clock.Elapsed(), max(left, 0)+2*grace, "some seconds after it")
	require.Equal(e.t, domain.ReasonDeadline, record.Result.Reason)
	require.NotEmpty(e.t, record.Result.Error)
	require.False(e.t, record.Result.CompletedAt.Before(r.Deadline))
	return record
}

func deadlineUnanswered(e *env) {
	w := e.consumer()
	ready := newRequest(withDeadline(now().Add(e.soon())), to("dead"))
	delayed := newRequest(withDeadline(now().Add(e.soon())), notBefore(now().Add(time.Hour)))
	key := newRequest(withKey("k", 1))
	ready.Idempotency = key.Idempotency
	e.accept(ready, delayed)
	for _, r := range []domain.Request{ready, delayed} {
		record := e.endsAtDeadline(r)
		require.Equal(e.t, domain.TimedOut, record.Status)
		require.Nil(e.t, record.Result.Response)
	}
	e.nothing(w, plenty(10))
	e.requireDepth(ports.Depths{DeadLetters: 2})
	e.requireConflict(ready.ID, domain.TimedOut)
	require.Equal(e.t, ports.AcceptedSame, e.offer(key).Outcome)
}

func deadlineAnswered(e *env) {
	w := e.consumer()
	request := newRequest(withDeadline(now().Add(e.soon())), withKey("k", 1))
	e.accept(request)
	d := e.one(w)
	out := again(d, now().Add(time.Hour))
	out.Response = newResponse(503, "busy")
	e.finish(w, d, out)
	record := e.endsAtDeadline(request)
	require.Equal(e.t, domain.Failed, record.Status)
	require.Equal(e.t, 1, record.Attempts)
	e.requireResponse(out.Response, record.Result.Response)
	e.requireDepth(ports.Depths{DeadLetters: 1})
	e.requireNew(newRequest(withKey("k", 2)))
}

func deadlineAfterCrash(e *env) {
	dying, kill := e.mortal()
	request := newRequest(withDeadline(now().Add(e.soon())))
	e.accept(request)
	d := e.one(dying)
	kill()
	require.Equal(e.t, domain.TimedOut, e.endsAtDeadline(request).Status)
	require.ErrorIs(e.t, e.tryFinish(e.consumer(), d, completed(d)), ports.ErrLost)
	require.Equal(e.t, domain.TimedOut, e.state(request.ID).Status)
}

func deadlineUnderWorker(e *env) {
	w := e.consumer()
	request := newRequest(withDeadline(now().Add(e.soon())))
	e.accept(request)
	d := e.one(w)
	ctx, cancel := context.WithDeadline(e.ctx, request.Deadline.Add(grace+time.Second))
	defer cancel()
	record, err := e.Results.Wait(ctx, request.ID)
	require.NoError(e.t, err)
	require.Equal(e.t, domain.Processing, record.Status)
	e.finish(w, d, completed(d))
	require.Equal(e.t, domain.Completed, e.find(request.ID).Status)
}
