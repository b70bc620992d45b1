package conformance

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func receiving() []testCase {
	return []testCase{
		{name: "a waiting Receive wakes when something is accepted", run: wakesOnAccept},
		{name: "a waiting Receive wakes when a delay is over", run: wakesOnDue},
		{name: "a waiting Receive wakes when something is handed back", run: wakesOnRelease},
		{
			name: "a waiting Receive wakes when a crashed consumer's lease is over", run: wakesOnLeaseEnd,
			settings: Settings{Lease: short},
		},
		{name: "a Receive that is cancelled returns the error of its context", run: cancelledReceive},
		{name: "Receives that are cancelled lose nothing", run: cancelledReceivesLoseNothing},
		{name: "many consumers share the work, each request once", run: consumersShare},
		{name: "Receive keeps its hands off the credit while it waits", run: wakesWithinCredit},
	}
}

// woken receives in the background, does what is to wake that, and returns the delivery.
func (e *env) woken(w ports.Work, credit ports.Credit, wake func()) ports.Delivery {
	e.t.Helper()
	type answer struct {
		deliveries []ports.Delivery
		err        error
	}
	answers, started := make(chan answer, 1), make(chan struct{})
	go func() {
		close(started)
		deliveries, err := w.Receive(e.ctx, credit)
		answers <- answer{deliveries, err}
	}()
	<-started
	wake()
	a := <-answers
	require.NoError(e.t, a.err)
	require.Len(e.t, a.deliveries, 1)
	return a.deliveries[0]
}

func wakesOnAccept(e *env) {
	w := e.consumer()
	for range 20 {
		request := newRequest()
		d := e.woken(w, plenty(10), func() { e.accept(request) })
		require.Equal(e.t, request.ID, d.Request.ID)
		e.finish(w, d, completed(d))
	}
}

func wakesOnDue(e *env) {
	w := e.consumer()
	e.accept(newRequest(notBefore(now().Add(e.soon()))))
	e.woken(w, plenty(1), func() {})
}

func wakesOnRelease(e *env) {
	holder, w := e.consumer(), e.consumer()
	reqs := newRequests(20)
	e.accept(reqs...)
	for _, held := range e.collect(holder, len(reqs)) {
		d := e.woken(w, plenty(10), func() { e.finish(holder, held, released(held, now())) })
		require.Equal(e.t, held.Request.ID, d.Request.ID)
		e.finish(w, d, completed(d))
	}
}

func wakesOnLeaseEnd(e *env) {
	dying, kill := e.mortal()
	e.accept(newRequest())
	e.one(dying)
	require.Equal(e.t, 2, e.woken(e.consumer(), plenty(1), kill).Deliveries)
}

func cancelledReceive(e *env) {
	w := e.consumer()
	e.nothing(w, plenty(1))
	ended, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := w.Receive(ended, plenty(1))
	require.ErrorIs(e.t, err, context.Canceled)
}

// cancelledReceivesLoseNothing lets Receives with hardly any time race with Accepts. Each request must come exactly
// once: none falls between a Receive that gives up and the next.
func cancelledReceivesLoseNothing(e *env) {
	crew := e.newCrew()
	for range 3 {
		w := e.consumer()
		crew.joinWith(w, func() ([]ports.Delivery, error) { return impatientReceive(crew.ctx, w) })
	}
	const producers, each = 4, 250
	reqs := newRequests(producers * each)
	var accepts errgroup.Group
	for p := range producers {
		accepts.Go(func() error {
			for _, r := range reqs[p*each : (p+1)*each] {
				if err := acceptAll(e.ctx, e.Intake, []domain.Request{r}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(e.t, accepts.Wait())
	e.requireCompleted(crew, reqs)
	e.requireDepth(ports.Depths{})
}

// impatientReceive returns nothing, without an error, when its time is over.
func impatientReceive(ctx context.Context, w ports.Work) ([]ports.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, rand.N(2*time.Millisecond))
	defer cancel()
	deliveries, err := w.Receive(ctx, plenty(1+rand.IntN(5)))
	if len(deliveries) == 0 && errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	if len(deliveries) == 0 && err == nil {
		return nil, errors.New("nothing, and no error")
	}
	return deliveries, err
}

func consumersShare(e *env) {
	crew := e.newCrew()
	for range 5 {
		crew.join(e.consumer(), 20)
	}
	reqs := newRequests(1000)
	e.accept(reqs...)
	e.requireCompleted(crew, reqs)
	e.requireDepth(ports.Depths{})
}

func wakesWithinCredit(e *env) {
	w := e.consumer()
	credit := plenty(1)
	credit.Endpoints = map[string]int{"dead": 0}
	wanted := newRequest(to("alive"))
	d := e.woken(w, credit, func() {
		e.accept(newRequests(10, to("dead"), withPriority(9))...)
		e.accept(wanted)
	})
	require.Equal(e.t, wanted.ID, d.Request.ID)
}
