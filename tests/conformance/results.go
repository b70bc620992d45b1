package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func results() []testCase {
	return []testCase{
		{name: "what does not exist is not found", run: unknownIsNotFound},
		{name: "Wait wakes all who wait when the record becomes final", run: waitWakesMany},
		{name: "Wait wakes when the request is cancelled", run: waitWakesOnCancel},
		{name: "Wait returns the record as it is when its time is over", run: waitEndsWithContext},
		{name: "Wait for what is final does not block", run: waitForFinal},
		{name: "Wait does not wake between attempts", run: waitOutlastsRetries},
		{name: "the size of the kept response is known without reading it", run: responseSizeIsKnown},
	}
}

func unknownIsNotFound(e *env) {
	id := newRequest().ID
	_, err := e.Results.State(e.ctx, id)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	_, err = e.Results.Find(e.ctx, id)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	_, err = e.Results.Wait(e.ctx, id)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	_, err = e.Intake.Cancel(e.ctx, id)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
}

// gone reports whether the record is not there any more.
func (e *env) gone(id domain.ID) bool {
	_, err := e.Results.Find(e.ctx, id)
	return errors.Is(err, ports.ErrNotFound)
}

// waitMany starts n waits for the record of id, and returns when all are about to block.
func (e *env) waitMany(ctx context.Context, id domain.ID, n int, check func(domain.Record) error) *errgroup.Group {
	var waits errgroup.Group
	started := make(chan struct{}, n)
	for range n {
		waits.Go(func() error {
			started <- struct{}{}
			record, err := e.Results.Wait(ctx, id)
			if err != nil {
				return err
			}
			return check(record)
		})
	}
	for range n {
		<-started
	}
	return &waits
}

func isFinal(status domain.Status) func(domain.Record) error {
	return func(r domain.Record) error {
		if r.Status != status {
			return fmt.Errorf("waited for a record that is %s and got one that is %s", status, r.Status)
		}
		if r.Result != nil {
			return errors.New("a wait leaves the result out")
		}
		return nil
	}
}

func waitWakesMany(e *env) {
	w := e.consumer()
	request, other := newRequest(), newRequest(notBefore(now().Add(time.Hour)))
	e.accept(request, other)
	waits := e.waitMany(e.ctx, request.ID, 100, func(r domain.Record) error {
		if err := isFinal(domain.Completed)(r); err != nil {
			return err
		}
		whole, err := e.Results.Find(e.ctx, request.ID)
		if err != nil {
			return err
		}
		if string(whole.Result.Response.Body) != "done" {
			return errors.New("the response is not there")
		}
		return nil
	})
	d := e.one(w)
	e.finish(w, d, completed(d))
	require.NoError(e.t, waits.Wait())
	require.Equal(e.t, domain.Pending, e.waitBriefly(other.ID).Status)
}

// waitBriefly waits for a record that does not become final meanwhile.
func (e *env) waitBriefly(id domain.ID) domain.Record {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.ctx, quiet)
	defer cancel()
	record, err := e.Results.Wait(ctx, id)
	require.NoError(e.t, err)
	require.Error(e.t, ctx.Err(), "Wait ended too early")
	return record
}

func waitWakesOnCancel(e *env) {
	request := newRequest()
	e.accept(request)
	waits := e.waitMany(e.ctx, request.ID, 10, isFinal(domain.Cancelled))
	e.cancel(request.ID)
	require.NoError(e.t, waits.Wait())
}

func waitEndsWithContext(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	require.Equal(e.t, domain.Pending, e.waitBriefly(request.ID).Status)

	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	waits := e.waitMany(ctx, request.ID, 50, func(r domain.Record) error {
		if r.Status != domain.Processing {
			return fmt.Errorf("the record was PROCESSING when the time was over, and Wait gave %s", r.Status)
		}
		return nil
	})
	e.one(w)
	cancel()
	require.NoError(e.t, waits.Wait())
}

func waitForFinal(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(w)
	e.finish(w, d, completed(d))
	want := e.state(request.ID)
	got, err := e.Results.Wait(e.ctx, request.ID)
	require.NoError(e.t, err)
	require.Equal(e.t, want, got)
}

func waitOutlastsRetries(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	waits := e.waitMany(e.ctx, request.ID, 10, isFinal(domain.Failed))
	for range 3 {
		d := e.one(w)
		e.finish(w, d, again(d, now()))
	}
	d := e.one(w)
	e.finish(w, d, failed(d))
	require.NoError(e.t, waits.Wait())
}

func responseSizeIsKnown(e *env) {
	w := e.consumer()
	answered, withdrawn := newRequest(), newRequest()
	e.accept(answered, withdrawn)
	e.requireResponseSize(answered.ID, nil)
	busy := newResponse(http.StatusServiceUnavailable, "busy for a while")
	for _, d := range e.collect(w, 2) {
		out := again(d, now())
		if d.Request.ID == withdrawn.ID {
			out = again(d, now().Add(time.Hour))
		}
		out.Response = busy
		e.finish(w, d, out)
	}
	e.requireResponseSize(answered.ID, busy)
	e.requireResponseSize(withdrawn.ID, busy)
	e.cancel(withdrawn.ID)
	e.requireResponseSize(withdrawn.ID, nil)

	d := e.one(w)
	out := completed(d)
	e.finish(w, d, out)
	e.requireResponseSize(answered.ID, out.Response)
	e.reopen()
	e.requireResponseSize(answered.ID, out.Response)
	e.requireResponseSize(withdrawn.ID, nil)
}

// requireResponseSize compares what all reads tell of the size of a response, or of none.
func (e *env) requireResponseSize(id domain.ID, response *domain.Response) {
	e.t.Helper()
	var want int64
	if response != nil {
		want = response.Size()
	}
	over, cancel := context.WithCancel(e.ctx)
	cancel()
	waited, err := e.Results.Wait(over, id)
	require.NoError(e.t, err)
	require.Nil(e.t, waited.Result, "Wait leaves the result out")
	require.Equal(e.t, want, waited.ResponseSize)
	require.Equal(e.t, want, e.state(id).ResponseSize)
	require.Equal(e.t, want, e.find(id).ResponseSize)
}
