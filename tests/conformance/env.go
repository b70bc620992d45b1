package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	// patience is how long a case may accept, receive and finish nothing, unless it says otherwise: all waiting for
	// what must happen ends then.
	patience = time.Minute
	// quiet is how long it allows for what must not happen. Too short only hides a fault.
	quiet = 200 * time.Millisecond
	// pollEvery is for the few things that a port offers no way to wait for.
	pollEvery = 10 * time.Millisecond
)

// env is what a case works with: an open instance, and helpers that fail the test. They belong to the goroutine of the
// test; others use the ports and return errors.
type env struct {
	Instance

	t        testing.TB
	ctx      context.Context // ends with the case, or its patience
	moves    *atomic.Int64   // counts what the case accepts, receives and finishes
	start    Start
	harness  Harness
	settings Settings
	closed   bool
	opening  time.Duration // the longest that it took to open an instance
}

// newEnv makes an env over fresh storage. It is to be opened, and closed in the end.
func newEnv(ctx context.Context, tb testing.TB, moves *atomic.Int64, start Start, settings Settings) *env {
	tb.Helper()
	e := &env{
		t: tb, ctx: ctx, moves: moves, start: start, harness: start(tb, settings), settings: settings, closed: true,
	}
	tb.Cleanup(func() { _ = e.close() }) // for a case that failed; the others have closed and looked at the error
	return e
}

func (e *env) open() {
	e.t.Helper()
	began := time.Now()
	instance, err := e.harness.Open()
	require.NoError(e.t, err)
	e.opening = max(e.opening, time.Since(began))
	e.Instance, e.closed = instance, false
}

// another opens an instance of the same backend over storage of its own.
func (e *env) another() *env {
	e.t.Helper()
	other := newEnv(e.ctx, e.t, e.moves, e.start, e.settings)
	other.open()
	return other
}

func (e *env) close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	return e.Close()
}

// reopen closes the instance and opens another over the same storage.
func (e *env) reopen() {
	e.t.Helper()
	require.NoError(e.t, e.close())
	e.open()
}

// consumer makes a consumer that lives as long as the case.
func (e *env) consumer() ports.Work { return e.NewConsumer(e.ctx) }

// mortal makes a consumer and what kills it.
func (e *env) mortal() (w ports.Work, kill func()) {
	ctx, cancel := context.WithCancel(e.ctx)
	return e.NewConsumer(ctx), cancel
}

// accept hands requests in that must all be taken in as new.
func (e *env) accept(reqs ...domain.Request) {
	e.t.Helper()
	require.NoError(e.t, acceptAll(e.ctx, e.Intake, reqs))
	e.moves.Add(1)
}

// acceptAll is accept for other goroutines.
func acceptAll(ctx context.Context, intake ports.Intake, reqs []domain.Request) error {
	answers := intake.Accept(ctx, reqs)
	if len(answers) != len(reqs) {
		return fmt.Errorf("accept: %d answers for %d requests", len(answers), len(reqs))
	}
	for i := range reqs {
		if err := answers[i].Err; err != nil {
			return err
		}
		if answers[i].Outcome != ports.AcceptedNew || answers[i].Record.ID != reqs[i].ID {
			return fmt.Errorf("accept: %s was not taken in as new", reqs[i].ID)
		}
	}
	return nil
}

// plenty is a credit that hardly bounds.
func plenty(count int) ports.Credit { return ports.Credit{Count: count, Bytes: 1 << 40} }

// receive gets what there is for the credit, at least one delivery.
func (e *env) receive(w ports.Work, credit ports.Credit) []ports.Delivery {
	e.t.Helper()
	deliveries, err := w.Receive(e.ctx, credit)
	require.NoError(e.t, err)
	require.NotEmpty(e.t, deliveries)
	require.LessOrEqual(e.t, len(deliveries), credit.Count)
	e.moves.Add(1)
	return deliveries
}

// one gets one delivery.
func (e *env) one(w ports.Work) ports.Delivery {
	e.t.Helper()
	return e.receive(w, plenty(1))[0]
}

// collect gets n deliveries, in as many steps as the backend likes.
func (e *env) collect(w ports.Work, n int) []ports.Delivery {
	e.t.Helper()
	var all []ports.Delivery
	for len(all) < n {
		all = append(all, e.receive(w, plenty(n-len(all)))...)
	}
	return all
}

// nothing makes sure that there is nothing to get within the credit.
func (e *env) nothing(w ports.Work, credit ports.Credit) {
	e.t.Helper()
	e.nothingFor(e.quiet(), w, credit)
}

// soon is a delay that a case waits for. It is longer than the few steps take that come before its end: on a slow
// machine these take longer, as opening did.
func (e *env) soon() time.Duration {
	return max(300*time.Millisecond, 3*e.opening.Truncate(time.Millisecond))
}

// quiet is how long a consumer is given that is to get nothing.
func (e *env) quiet() time.Duration { return max(quiet, e.harness.Traits.Joining) }

func (e *env) nothingFor(d time.Duration, w ports.Work, credit ports.Credit) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.ctx, d)
	defer cancel()
	deliveries, err := w.Receive(ctx, credit)
	require.Empty(e.t, ids(deliveries))
	require.ErrorIs(e.t, err, context.DeadlineExceeded)
}

// finish saves an outcome that must be taken.
func (e *env) finish(w ports.Work, d ports.Delivery, out domain.Outcome) {
	e.t.Helper()
	require.NoError(e.t, e.tryFinish(w, d, out))
}

// tryFinish returns the answer to one finish.
func (e *env) tryFinish(w ports.Work, d ports.Delivery, out domain.Outcome) error {
	e.t.Helper()
	errs := w.Finish(e.ctx, []ports.Finish{finishOf(d, out)})
	e.moves.Add(1)
	require.Len(e.t, errs, 1)
	return errs[0]
}

// cancel cancels a request that must be PENDING.
func (e *env) cancel(id domain.ID) domain.Record {
	e.t.Helper()
	record, err := e.Intake.Cancel(e.ctx, id)
	require.NoError(e.t, err)
	return record
}

// state reads a record without its result.
func (e *env) state(id domain.ID) domain.Record {
	e.t.Helper()
	state, err := e.Results.State(e.ctx, id)
	require.NoError(e.t, err)
	require.Nil(e.t, state.Result, "State leaves the result out")
	return state
}

// find reads a whole record.
func (e *env) find(id domain.ID) domain.Record {
	e.t.Helper()
	record, err := e.Results.Find(e.ctx, id)
	require.NoError(e.t, err)
	require.Equal(e.t, record.Status.Final(), record.Result != nil, "a result is there when the record is final")
	return record
}

// requireIDs compares ids in any order.
func (e *env) requireIDs(want, got []domain.ID) {
	e.t.Helper()
	require.Equal(e.t, slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got)))
}

// depth reads the depths.
func (e *env) depth() ports.Depths {
	e.t.Helper()
	d, err := e.Gauge.Depths(e.ctx)
	require.NoError(e.t, err)
	return d
}

// counts are the numbers that a depth must have right.
func counts(d ports.Depths) [4]int64 { return [4]int64{d.Ready, d.Delayed, d.Leased, d.DeadLetters} }

// requireDepth compares the depths, at once where they are exact.
func (e *env) requireDepth(want ports.Depths) {
	e.t.Helper()
	if !e.harness.Traits.ApproximateDepth {
		require.Equal(e.t, counts(want), counts(e.depth()), "ready, delayed, leased, dead letters")
		return
	}
	var last ports.Depths
	defer func() {
		if e.t.Failed() {
			e.t.Logf("the last depth is %+v in place of %+v", last, want)
		}
	}()
	e.eventually(func() bool {
		d, err := e.Gauge.Depths(e.ctx)
		if err == nil {
			last = d
		}
		return err == nil && counts(d) == counts(want)
	}, "the depth is never right")
}

// requireNothingLeft wants depths of zero after requests were cancelled, or after a crash when all is final.
func (e *env) requireNothingLeft(w ports.Work) {
	e.t.Helper()
	e.requireDepthOnceSeen(w, ports.Depths{})
}

// requireDepthOnceSeen compares the depths. Where a carrier still has messages of requests that need none any more, or
// a second copy of one, it counts them until a worker has seen them, which hands out nothing.
func (e *env) requireDepthOnceSeen(w ports.Work, want ports.Depths) {
	e.t.Helper()
	if e.harness.Traits.ApproximateDepth {
		for e.ctx.Err() == nil && counts(e.depth()) != counts(want) {
			e.nothing(w, plenty(10))
		}
	}
	e.requireDepth(want)
}

// eventually polls. It is for what no port lets one wait for.
func (e *env) eventually(condition func() bool, message string) {
	e.t.Helper()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-e.ctx.Done():
			require.FailNow(e.t, message, "%v", context.Cause(e.ctx))
		}
	}
}
