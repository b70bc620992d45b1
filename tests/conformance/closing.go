package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func closing() []testCase {
	return []testCase{
		{name: "closed means closed, for every method", run: closedMeansClosed},
		{name: "Close ends what waits", run: closeEndsWaiting},
		{name: "Close again does nothing", run: closeAgain},
		{name: "what was answered before Close is there after it", run: closeUnderLoad},
		{name: "what was held at Close comes again", run: heldAtClose, settings: Settings{Lease: short}},
	}
}

func closedMeansClosed(e *env) {
	w := e.consumer()
	request := newRequest()
	e.accept(request)
	d := e.one(w)
	instance := e.Instance
	require.NoError(e.t, e.close())

	for _, answer := range instance.Intake.Accept(e.ctx, newRequests(2)) {
		require.ErrorIs(e.t, answer.Err, ports.ErrClosed)
	}
	for name, call := range map[string]func() error{
		"Cancel": func() error { _, err := instance.Intake.Cancel(e.ctx, request.ID); return err },
		"State":  func() error { _, err := instance.Results.State(e.ctx, request.ID); return err },
		"Find":   func() error { _, err := instance.Results.Find(e.ctx, request.ID); return err },
		"Wait":   func() error { _, err := instance.Results.Wait(e.ctx, request.ID); return err },
		"Depths": func() error { _, err := instance.Gauge.Depths(e.ctx); return err },
		"Receive": func() error {
			deliveries, err := w.Receive(e.ctx, plenty(1))
			require.Empty(e.t, deliveries)
			return err
		},
		"Finish": func() error { return e.tryFinish(w, d, completed(d)) },
		"Receive of a new consumer": func() error {
			_, err := instance.NewConsumer(e.ctx).Receive(e.ctx, plenty(1))
			return err
		},
	} {
		require.ErrorIs(e.t, call(), ports.ErrClosed, name)
	}
}

func closeEndsWaiting(e *env) {
	const each = 10
	e.accept(newRequest(to("dead")))
	request := newRequest(notBefore(now().Add(1 << 40)))
	e.accept(request)
	var calls errgroup.Group
	started := make(chan struct{}, 2*each)
	refused := plenty(1)
	refused.Endpoints = map[string]int{"dead": 0}
	for range each {
		w := e.consumer()
		calls.Go(func() error {
			started <- struct{}{}
			_, err := w.Receive(e.ctx, refused)
			return isClosed("Receive", err)
		})
		calls.Go(func() error {
			started <- struct{}{}
			_, err := e.Results.Wait(e.ctx, request.ID)
			return isClosed("Wait", err)
		})
	}
	for range 2 * each {
		<-started
	}
	require.NoError(e.t, e.close())
	require.NoError(e.t, calls.Wait())
}

func isClosed(call string, err error) error {
	if !errors.Is(err, ports.ErrClosed) {
		return fmt.Errorf("%s ended with %w", call, err)
	}
	return nil
}

func closeAgain(e *env) {
	require.NoError(e.t, e.Close())
	require.NoError(e.t, e.Close())
	e.closed = true
}

// closeUnderLoad closes while other goroutines accept and finish: what was confirmed to them must hold.
func closeUnderLoad(e *env) {
	var calls errgroup.Group
	accepted := make(chan domain.ID, 1<<16)
	finished := make(chan domain.ID, 1<<16)
	for range 4 {
		calls.Go(func() error {
			for {
				request := newRequest()
				if err := acceptAll(e.ctx, e.Intake, []domain.Request{request}); err != nil {
					return isClosed("Accept", err)
				}
				accepted <- request.ID
			}
		})
		w := e.consumer()
		calls.Go(func() error { return finishUntilClosed(e.ctx, w, finished) })
	}
	var done []domain.ID
	for range 500 { // the load is under way
		done = append(done, <-finished)
	}
	require.NoError(e.t, e.close())
	require.NoError(e.t, calls.Wait())
	close(accepted)
	close(finished)
	e.open()
	for id := range accepted {
		e.state(id)
	}
	for id := range finished {
		done = append(done, id)
	}
	for _, id := range done {
		require.Equal(e.t, domain.Completed, e.find(id).Status)
	}
}

func finishUntilClosed(ctx context.Context, w ports.Work, finished chan<- domain.ID) error {
	for {
		deliveries, err := w.Receive(ctx, plenty(10))
		if err != nil {
			return isClosed("Receive", err)
		}
		if len(deliveries) == 0 {
			return errors.New("receive: nothing, and no error")
		}
		for _, d := range deliveries {
			if err := w.Finish(ctx, []ports.Finish{finishOf(d, completed(d))})[0]; err != nil {
				return isClosed("Finish", err)
			}
			finished <- d.Request.ID
		}
	}
}

func heldAtClose(e *env) {
	reqs := newRequests(20)
	e.accept(reqs...)
	e.collect(e.consumer(), 10)
	e.reopen()
	w := e.consumer()
	deliveries := e.collect(w, len(reqs))
	e.requireIDs(requestIDs(reqs), ids(deliveries))
	for _, d := range deliveries {
		e.finish(w, d, completed(d))
	}
	e.requireNothingLeft(w)
}
