package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// clock is a time that moves when a test moves it.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

// creditOf is what the gates give for endpoint "a" of a credit of ten; ten when they do not hold it back.
func creditOf(g *Gates) (int, time.Time) {
	credits, next := g.credits(10)
	if n, held := credits["a"]; held {
		return n, next
	}
	return 10, next
}

func TestWhatHasNoLimitIsNotHeldBack(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {}}, newClock().now)
	for range 100 {
		g.begin("a")
		g.begin("not configured")
	}
	credits, next := g.credits(10)
	require.Empty(t, credits)
	require.Zero(t, next)
	g.end("a")
	g.end("not configured")
}

func TestCallsInFlightAreLimited(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {InFlight: 2}}, newClock().now)
	changed := 0
	g.onChange(func() { changed++ })
	for _, want := range []int{2, 1, 0} {
		n, next := creditOf(g)
		require.Equal(t, want, n)
		require.Zero(t, next, "time does not help")
		g.begin("a")
	}
	require.Zero(t, changed)
	g.end("a")
	require.Equal(t, 1, changed, "whoever was held back is notified")
	g.end("a")
	require.Equal(t, 1, changed, "once, until it is held back again")
	n, _ := creditOf(g)
	require.Equal(t, 1, n, "one still runs")
}

func TestTheRateHolds(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := NewGates(map[string]Limit{"a": {Rate: 4, Burst: 3}}, c.now)
	n, _ := creditOf(g)
	require.Equal(t, 3, n, "the burst")
	for range 3 {
		g.begin("a")
		g.end("a")
	}
	n, next := creditOf(g)
	require.Equal(t, 0, n)
	require.Equal(t, c.at.Add(250*time.Millisecond), next)

	made := 0
	for range 400 { // ten seconds
		c.advance(25 * time.Millisecond)
		for n, _ := creditOf(g); n > 0; n-- {
			g.begin("a")
			g.end("a")
			made++
		}
	}
	require.InDelta(t, 40, made, 1, "sums of fractions")
	c.advance(time.Hour)
	n, _ = creditOf(g)
	require.Equal(t, 3, n, "a pause saves up no more than the burst")
}

func TestAFastRateIsLetThroughInBunches(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := NewGates(map[string]Limit{"a": {Rate: 100_000, Burst: 1}}, c.now)
	g.begin("a")
	_, next := creditOf(g)
	require.Equal(t, c.at.Add(tokenPause), next)
}

func respond(status int) func() (*domain.Response, error) {
	return func() (*domain.Response, error) { return &domain.Response{StatusCode: status}, nil }
}

func failWith(kind domain.FailureKind) func() (*domain.Response, error) {
	return func() (*domain.Response, error) { return nil, &domain.Failure{Kind: kind, Err: errors.New("cause")} }
}

// backend answers as a test says.
type backend func() (*domain.Response, error)

func (b backend) Do(context.Context, ports.Call) (*domain.Response, error) { return b() }

// call makes one call of "a" that was fetched.
func call(g *Gates, do func() (*domain.Response, error)) {
	g.begin("a")
	_, _ = g.Backend(backend(do)).Do(context.Background(), ports.Call{Request: &domain.Request{Endpoint: "a"}})
	g.end("a")
}

func TestTheBreakerOpensAndClosesAgain(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := NewGates(map[string]Limit{"a": {Failures: 3, Cooldown: 30 * time.Second}}, c.now)
	state := func() BreakerState { return g.Breakers()["a"] }
	call(g, failWith(domain.FailureTimeout))
	call(g, respond(503))
	call(g, respond(200)) // the row is broken
	call(g, failWith(domain.FailureBroken))
	call(g, failWith(domain.FailureUnreachable))
	require.Equal(t, BreakerClosed, state())
	call(g, respond(500))
	require.Equal(t, BreakerOpen, state())
	n, next := creditOf(g)
	require.Equal(t, 0, n)
	require.Equal(t, c.at.Add(30*time.Second), next)
	require.Equal(t, 30*time.Second, g.openFor("a"))

	c.advance(30 * time.Second)
	require.Equal(t, BreakerHalfOpen, state())
	require.Zero(t, g.openFor("a"))
	n, _ = creditOf(g)
	require.Equal(t, 1, n, "one trial")
	g.begin("a")
	n, _ = creditOf(g)
	require.Equal(t, 0, n, "no second one beside it")
	g.end("a") // it was never made
	call(g, failWith(domain.FailureTimeout))
	require.Equal(t, BreakerOpen, state(), "one failure is enough for a trial")

	c.advance(30 * time.Second)
	call(g, respond(404))
	require.Equal(t, BreakerClosed, state())
	n, _ = creditOf(g)
	require.Equal(t, 10, n)
}

func TestWhatSaysNothingAboutTheEndpointMovesNoBreaker(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {Failures: 1, Cooldown: time.Hour}}, newClock().now)
	for _, kind := range []domain.FailureKind{
		domain.FailureInterrupted, domain.FailureUnsendable, domain.FailureTooLarge,
	} {
		call(g, failWith(kind))
		require.Equal(t, BreakerClosed, g.Breakers()["a"], kind)
	}
	call(g, func() (*domain.Response, error) { return nil, errors.New("of no kind") })
	require.Equal(t, BreakerOpen, g.Breakers()["a"])
	for _, kind := range []domain.FailureKind{domain.FailureInterrupted, domain.FailureUnsendable} {
		call(g, failWith(kind))
		require.Equal(t, BreakerOpen, g.Breakers()["a"], kind)
	}
}

func TestAnEndpointWithoutABreakerNeverOpens(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {InFlight: 1}}, newClock().now)
	for range 100 {
		call(g, respond(500))
	}
	require.Empty(t, g.Breakers())
	require.Zero(t, g.openFor("a"))
	require.Zero(t, g.openFor("not configured"))
}

func TestCallsFromBeforeNeitherTryNorReopenABreaker(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := NewGates(map[string]Limit{"a": {Failures: 1, Cooldown: 30 * time.Second}}, c.now)
	for range 3 {
		g.begin("a")
	}
	end := func() {
		failing := backend(failWith(domain.FailureTimeout))
		_, _ = g.Backend(failing).Do(context.Background(), ports.Call{Request: &domain.Request{Endpoint: "a"}})
		g.end("a")
	}
	end()
	opened := c.at
	c.advance(29 * time.Second)
	end()
	_, next := creditOf(g)
	require.Equal(t, opened.Add(30*time.Second), next, "the cooldown does not begin again")
	c.advance(time.Second)
	n, _ := creditOf(g)
	require.Equal(t, 0, n, "one from before still runs")
	end()
	require.Equal(t, BreakerOpen, g.Breakers()["a"], "it was as good as a trial")
	c.advance(30 * time.Second)
	n, _ = creditOf(g)
	require.Equal(t, 1, n)
}

func TestAFullBucketIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {Rate: 50, Burst: 1}}, newClock().now)
	n, next := creditOf(g)
	require.Equal(t, 1, n)
	require.Zero(t, next, "time brings no more, and a worker with nothing to do sleeps")
}

func TestAnEndpointThatCannotDoThisWorks(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {Failures: 1, Cooldown: time.Hour}}, newClock().now)
	call(g, respond(501))
	call(g, respond(505))
	require.Equal(t, BreakerClosed, g.Breakers()["a"])
}
