package worker

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	g := NewGates(map[string]Limit{"a": {}}, newClock().now, slog.New(slog.DiscardHandler))
	for range 100 {
		g.begin("a")
		g.begin("not configured")
	}
	credits, next := g.credits(10)
	require.Empty(t, credits)
	require.Zero(t, next)
	g.end("a", true, 0)
	g.end("not configured", true, 0)
}

func TestCallsInFlightAreLimited(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {InFlight: 2}}, newClock().now, slog.New(slog.DiscardHandler))
	changed := 0
	g.onChange(func() { changed++ })
	for _, want := range []int{2, 1, 0} {
		n, next := creditOf(g)
		require.Equal(t, want, n)
		require.Zero(t, next, "time does not help")
		g.begin("a")
	}
	require.Zero(t, changed)
	g.end("a", true, 0)
	require.Equal(t, 1, changed, "whoever was held back is notified")
	g.end("a", true, 0)
	require.Equal(t, 1, changed, "once, until it is held back again")
	n, _ := creditOf(g)
	require.Equal(t, 1, n, "one still runs")
}

func TestTheRateHolds(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := NewGates(map[string]Limit{"a": {Rate: 4, Burst: 3}}, c.now, slog.New(slog.DiscardHandler))
	n, _ := creditOf(g)
	require.Equal(t, 3, n, "the burst")
	for range 3 {
		g.begin("a")
		g.end("a", true, 0)
	}
	n, next := creditOf(g)
	require.Equal(t, 0, n)
	require.Equal(t, c.at.Add(250*time.Millisecond), next)

	made := 0
	for range 400 { // ten seconds
		c.advance(25 * time.Millisecond)
		for n, _ := creditOf(g); n > 0; n-- {
			g.begin("a")
			g.end("a", true, 0)
			made++
		}
	}
	require.InDelta(t, 40, made, 1, "sums of fractions")
	c.advance(time.Hour)
	n, _ = creditOf(g)
	require.Equal(t, 3, n, "a pause saves up no more than the burst")
}

func TestWhatIsHandedBackReturnsItsToken(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {Rate: 4, Burst: 3}}, newClock().now, slog.New(slog.DiscardHandler))
	for _, called := range []bool{true, false, true, false} {
		g.begin("a")
		g.end("a", called, 0)
	}
	n, _ := creditOf(g)
	require.Equal(t, 1, n)
	g.end("a", false, 0)
	g.end("a", false, 0)
	g.end("a", false, 0)
	n, _ = creditOf(g)
	require.Equal(t, 3, n, "never more than the burst")
}

func TestAFastRateIsLetThroughInBunches(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := NewGates(map[string]Limit{"a": {Rate: 100_000, Burst: 1}}, c.now, slog.New(slog.DiscardHandler))
	g.begin("a")
	_, next := creditOf(g)
	require.Equal(t, c.at.Add(tokenPause), next)
}

func TestAFullBucketIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {Rate: 50, Burst: 1}}, newClock().now, slog.New(slog.DiscardHandler))
	n, next := creditOf(g)
	require.Equal(t, 1, n)
	require.Zero(t, next, "time brings no more, and a worker with nothing to do sleeps")
}
