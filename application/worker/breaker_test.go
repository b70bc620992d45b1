package worker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func respond(status int) func() (*domain.Response, error) {
	return func() (*domain.Response, error) { return &domain.Response{StatusCode: status}, nil }
}

func failWith(kind domain.FailureKind) func() (*domain.Response, error) {
	return func() (*domain.Response, error) { return nil, &domain.Failure{Kind: kind, Err: errors.New("cause")} }
}

// backend answers what it is told.
type backend func() (*domain.Response, error)

func (b backend) Do(context.Context, ports.Call) (*domain.Response, error) { return b() }

// call makes one call of "a" that was fetched.
func call(g *Gates, do func() (*domain.Response, error)) {
	g.begin("a")
	_, _ = g.Backend(backend(do)).Do(context.Background(), ports.Call{Request: &domain.Request{Endpoint: "a"}})
	g.end("a")
}

// inARow is a rule that counts failures in a row, and share one that counts a share of failures.
var (
	inARow = BreakerRule{Failures: 3, Cooldown: 30 * time.Second, Probes: 1}
	share  = BreakerRule{Ratio: 0.5, Window: 30 * time.Second, MinCalls: 10, Cooldown: 10 * time.Second, Probes: 3}
)

// guarded has one endpoint, "a", with a breaker. Its log is written to the builder.
func guarded(c *clock, rule BreakerRule) (*Gates, *strings.Builder) {
	log := &strings.Builder{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	return NewGates(map[string]Limit{"a": {Breaker: rule}}, c.now, logger), log
}

func stateOf(g *Gates) BreakerState { return g.Breakers()["a"] }

func TestFailuresInARowOpenABreaker(t *testing.T) {
	t.Parallel()
	c := newClock()
	g, log := guarded(c, inARow)
	call(g, failWith(domain.FailureTimeout))
	call(g, respond(503))
	call(g, respond(200)) // the row is broken
	call(g, failWith(domain.FailureBroken))
	call(g, failWith(domain.FailureUnreachable))
	require.Equal(t, BreakerClosed, stateOf(g))
	call(g, respond(502))
	require.Equal(t, BreakerOpen, stateOf(g))
	n, next := creditOf(g)
	require.Equal(t, 0, n)
	require.Equal(t, c.at.Add(30*time.Second), next)
	require.Equal(t, 30*time.Second, g.closedFor("a"))

	c.advance(30 * time.Second)
	require.Equal(t, BreakerHalfOpen, stateOf(g))
	require.Zero(t, g.closedFor("a"))
	call(g, failWith(domain.FailureTimeout))
	require.Equal(t, BreakerOpen, stateOf(g), "the only probe failed")
	c.advance(30 * time.Second)
	call(g, respond(404))
	require.Equal(t, BreakerClosed, stateOf(g))
	n, _ = creditOf(g)
	require.Equal(t, 10, n)
	for _, change := range []string{"breaker open", "half-open", "breaker closed"} {
		require.Contains(t, log.String(), change)
	}
	require.Equal(t, 5, strings.Count(log.String(), "level=WARN"), "one line a change")
}

func TestAShareOfFailuresOpensABreaker(t *testing.T) {
	t.Parallel()
	c := newClock()
	g, _ := guarded(c, share)
	for range 9 {
		call(g, respond(503))
	}
	require.Equal(t, BreakerClosed, stateOf(g), "too few calls to say")
	c.advance(time.Minute)
	for range 10 {
		call(g, respond(200))
	}
	for range 9 {
		call(g, respond(503))
	}
	require.Equal(t, BreakerClosed, stateOf(g), "less than half")
	c.advance(15 * time.Second)
	call(g, respond(503))
	require.Equal(t, BreakerOpen, stateOf(g))
}

func TestAWindowForgets(t *testing.T) {
	t.Parallel()
	w := window{slice: 3 * time.Second}
	c := newClock()
	for range 30 { // one call a second, every second one fails
		w.add(c.at, c.at.Second()%2 == 0)
		c.advance(time.Second)
	}
	calls, failures := w.sum(c.at)
	require.InDelta(t, 30, calls, 3)
	require.InDelta(t, 15, failures, 2)
	c.advance(15 * time.Second)
	calls, _ = w.sum(c.at)
	require.InDelta(t, 15, calls, 3)
	c.advance(time.Hour)
	calls, failures = w.sum(c.at)
	require.Zero(t, calls)
	require.Zero(t, failures)
}

func TestAHalfOpenBreakerGoesByMostOfItsProbes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		give []int
		want BreakerState
	}{
		"two of three work":            {[]int{200, 503, 200}, BreakerClosed},
		"two of three fail":            {[]int{503, 200, 503}, BreakerOpen},
		"two work":                     {[]int{200, 200}, BreakerClosed},
		"two fail":                     {[]int{503, 503}, BreakerOpen},
		"not enough to say":            {[]int{503, 200}, BreakerHalfOpen},
		"a status about the request":   {[]int{500, 500}, BreakerClosed},
		"an answer that is an answer":  {[]int{404, 404}, BreakerClosed},
		"one that works, then no more": {[]int{200}, BreakerHalfOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			g, _ := guarded(c, share)
			for range 10 {
				call(g, respond(503))
			}
			c.advance(10 * time.Second)
			for _, status := range tt.give {
				call(g, respond(status))
			}
			require.Equal(t, tt.want, stateOf(g))
		})
	}
}

// TestAProbeIsChosenByHowOftenItWasTried holds that the untried go first, that no more are called than there are
// probes, and that the others come back when it is known more.
func TestAProbeIsChosenByHowOftenItWasTried(t *testing.T) {
	t.Parallel()
	c := newClock()
	g, _ := guarded(c, share)
	for range 10 {
		call(g, respond(503))
	}
	c.advance(10 * time.Second)
	n, _ := creditOf(g)
	require.Equal(t, 10, n, "enough to choose from")
	n, _ = g.gates["a"].free(c.at, BreakerHalfOpen, 1000)
	require.Equal(t, 24, n, "and no more")

	fetched := []ports.Delivery{{Request: domain.Request{Endpoint: "another"}, Token: "z"}}
	for i := range 6 {
		fetched = append(fetched, ports.Delivery{
			Request: domain.Request{Endpoint: "a"}, Token: string(rune('a' + i)), Attempts: 5 - i,
		})
	}
	require.Equal(t, map[string]time.Duration{
		"a": 10 * time.Second, "b": 10 * time.Second, "c": 10 * time.Second,
	}, g.choose(fetched))
	n, _ = creditOf(g)
	require.Zero(t, n, "all probes are under way")
	require.Len(t, g.choose(fetched[1:2]), 1)

	for range fetched {
		g.begin("a")
	}
	for range fetched { // they ended without a call
		g.end("a")
	}
	n, _ = creditOf(g)
	require.Equal(t, 10, n, "those that came to nothing do not count")
}

func TestWhatSaysNothingAboutTheEndpointMovesNoBreaker(t *testing.T) {
	t.Parallel()
	once := BreakerRule{Failures: 1, Cooldown: time.Hour, Probes: 1}
	g, _ := guarded(newClock(), once)
	kinds := []domain.FailureKind{domain.FailureInterrupted, domain.FailureUnsendable, domain.FailureShortage,
		domain.FailureRefused}
	for _, kind := range append(kinds, domain.FailureTooLarge) {
		call(g, failWith(kind))
		require.Equal(t, BreakerClosed, stateOf(g), kind)
	}
	for _, status := range []int{400, 404, 500, 501, 505} {
		call(g, respond(status))
		require.Equal(t, BreakerClosed, stateOf(g), status)
	}
	call(g, func() (*domain.Response, error) { return nil, errors.New("of no kind") })
	require.Equal(t, BreakerOpen, stateOf(g))
	for _, kind := range kinds {
		call(g, failWith(kind))
		require.Equal(t, BreakerOpen, stateOf(g), kind)
	}
}

func TestAnEndpointWithoutABreakerNeverOpens(t *testing.T) {
	t.Parallel()
	g, _ := guarded(newClock(), BreakerRule{})
	for range 100 {
		call(g, respond(503))
	}
	require.Empty(t, g.Breakers())
	require.Zero(t, g.closedFor("a"))
	require.Zero(t, g.closedFor("not configured"))
}

// TestCallsFromBeforeMoveNoBreaker has calls that began before it opened and end later.
func TestCallsFromBeforeMoveNoBreaker(t *testing.T) {
	t.Parallel()
	c := newClock()
	g, _ := guarded(c, BreakerRule{Failures: 1, Cooldown: 30 * time.Second, Probes: 1})
	epoch := g.epoch("a")
	late := func() {
		g.report("a", epoch, nil, &domain.Failure{Kind: domain.FailureTimeout, Err: errors.New("late")})
	}
	late()
	opened := c.at
	c.advance(29 * time.Second)
	late()
	_, next := creditOf(g)
	require.Equal(t, opened.Add(30*time.Second), next, "the cooldown does not begin again")
	c.advance(time.Second)
	late()
	require.Equal(t, BreakerHalfOpen, stateOf(g), "it was no probe")
	call(g, respond(200))
	late()
	require.Equal(t, BreakerClosed, stateOf(g))
}

// TestRetryAfterPausesTheEndpoint holds that it is for all its requests, is no failure, and has its bound.
func TestRetryAfterPausesTheEndpoint(t *testing.T) {
	t.Parallel()
	answer := func(status int, after string) func() (*domain.Response, error) {
		return func() (*domain.Response, error) {
			return &domain.Response{StatusCode: status, Header: domain.Header{"Retry-After": {after}}}, nil
		}
	}
	for name, tt := range map[string]struct {
		give func() (*domain.Response, error)
		want time.Duration
	}{
		"503":          {answer(503, "7"), 7 * time.Second},
		"429":          {answer(429, "7"), 7 * time.Second},
		"another":      {answer(500, "7"), 0},
		"too long":     {answer(429, "86400"), maxPause},
		"nothing said": {respond(429), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			g, log := guarded(c, BreakerRule{Failures: 1, Cooldown: time.Hour, Probes: 1})
			call(g, tt.give)
			require.Equal(t, BreakerClosed, stateOf(g))
			require.Equal(t, tt.want, g.closedFor("a"))
			if tt.want == 0 {
				return
			}
			n, next := creditOf(g)
			require.Zero(t, n)
			require.Equal(t, c.at.Add(tt.want), next)
			call(g, tt.give)
			require.Equal(t, 1, strings.Count(log.String(), "paused"), "it is said once")
			c.advance(tt.want)
			n, _ = creditOf(g)
			require.Equal(t, 10, n)
		})
	}
}

// TestAShortageOfOursPausesTheEndpointForAMoment holds that it is no failure, that calls that cannot be made are not
// tried in a loop, and that the log says it once.
func TestAShortageOfOursPausesTheEndpointForAMoment(t *testing.T) {
	t.Parallel()
	c := newClock()
	g, log := guarded(c, BreakerRule{Failures: 1, Cooldown: time.Hour, Probes: 1})
	const line = "calls wait, uncharged"
	for range 50 {
		call(g, failWith(domain.FailureShortage))
		require.Equal(t, BreakerClosed, stateOf(g))
		n, next := creditOf(g)
		require.Zero(t, n)
		require.Equal(t, c.at.Add(time.Second), next)
		require.Equal(t, map[string]string{"a": "paused: no file descriptors or local ports left"}, g.heldBack())
		c.advance(time.Second)
	}
	require.Equal(t, 1, strings.Count(log.String(), line))
	c.advance(time.Minute)
	call(g, failWith(domain.FailureShortage))
	require.Equal(t, 2, strings.Count(log.String(), line))
	c.advance(time.Second)
	n, _ := creditOf(g)
	require.Equal(t, 10, n)
	require.Empty(t, g.heldBack())
}
