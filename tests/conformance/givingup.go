package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// givingUp are cases in which a caller's time is over before the answer. What is not confirmed may still be done; what
// is confirmed must be.
func givingUp() []testCase {
	return []testCase{
		{name: "an Accept that is given up is not confirmed, and harms no other", run: acceptsGivenUp},
		{name: "a Finish that is given up can be repeated", run: finishesGivenUp},
		{name: "a Cancel that is given up can be repeated", run: cancelsGivenUp},
	}
}

// hasty returns a context that often ends before the answer, and often does not.
func (e *env) hasty() (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.ctx, rand.N(3*time.Millisecond))
}

// unconfirmed checks the error of a call that was given up.
func unconfirmed(call string, err error) error {
	if !errors.Is(err, ports.ErrUnavailable) {
		return fmt.Errorf("%s was given up with: %w", call, err)
	}
	return nil
}

func acceptsGivenUp(e *env) {
	const callers, each = 8, 100
	confirmed := make(chan domain.ID, callers*each)
	var accepts errgroup.Group
	for range callers {
		accepts.Go(func() error {
			for range each {
				ctx, cancel := e.hasty()
				request := newRequest()
				err := acceptAll(ctx, e.Intake, []domain.Request{request})
				cancel()
				if err == nil {
					confirmed <- request.ID
				} else if err := unconfirmed("Accept", err); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(e.t, accepts.Wait())
	close(confirmed)
	missing := make(map[domain.ID]bool)
	for id := range confirmed {
		missing[id] = true
	}
	w := e.consumer()
	for len(missing) > 0 {
		for _, d := range e.receive(w, plenty(64)) {
			require.Equal(e.t, 1, d.Deliveries)
			delete(missing, d.Request.ID) // others, which nobody confirmed, may come as well
		}
	}
}

// repeat makes a call in haste until it is answered.
func (e *env) repeat(name string, call func(ctx context.Context) error) error {
	for {
		ctx, cancel := e.hasty()
		err := call(ctx)
		cancel()
		if err == nil || unconfirmed(name, err) != nil {
			return err
		}
	}
}

func finishesGivenUp(e *env) {
	const n = 300
	e.accept(newRequests(n)...)
	w := e.consumer()
	for _, d := range e.collect(w, n) {
		err := e.repeat("Finish", func(ctx context.Context) error {
			return w.Finish(ctx, []ports.Finish{finishOf(d, completed(d))})[0]
		})
		if err != nil {
			require.ErrorIs(e.t, err, ports.ErrLost, "unless an earlier one was saved")
		}
		record := e.find(d.Request.ID)
		require.Equal(e.t, domain.Completed, record.Status)
		require.Equal(e.t, 1, record.Attempts)
	}
	e.requireDepth(ports.Depths{})
}

func cancelsGivenUp(e *env) {
	reqs := newRequests(100)
	e.accept(reqs...)
	for _, r := range reqs {
		require.NoError(e.t, e.repeat("Cancel", func(ctx context.Context) error {
			record, err := e.Intake.Cancel(ctx, r.ID)
			if err == nil && record.Status != domain.Cancelled {
				return fmt.Errorf("cancelled, it is %s", record.Status)
			}
			return err
		}))
	}
	e.requireNothingLeft(e.consumer())
}
