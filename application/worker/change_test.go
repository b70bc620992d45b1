package worker

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// opening opens at the first failure.
var opening = BreakerRule{Failures: 1, Cooldown: time.Hour, Window: time.Minute, Probes: 1}

// TestAChangedLimitKeepsWhatIsStillTrue opens a breaker, pauses an endpoint, uses tokens up, and then changes limits.
func TestAChangedLimitKeepsWhatIsStillTrue(t *testing.T) {
	t.Parallel()
	broken := &domain.Response{StatusCode: http.StatusBadGateway}
	busy := &domain.Response{StatusCode: http.StatusServiceUnavailable, Header: domain.Header{"Retry-After": {"60"}}}
	first := Limit{InFlight: 2, Rate: 0.001, Burst: 5, Breaker: opening, URL: "http://a"}
	tests := map[string]struct {
		response *domain.Response
		change   func(l *Limit)
		want     int
	}{
		"nothing":             {broken, func(*Limit) {}, 0},
		"another limit":       {broken, func(l *Limit) { l.InFlight = 9 }, 0},
		"another rule":        {broken, func(l *Limit) { l.Breaker.Failures = 2 }, 1},
		"no breaker":          {broken, func(l *Limit) { l.Breaker = BreakerRule{} }, 1},
		"another backend":     {broken, func(l *Limit) { l.URL = "http://b" }, 1},
		"a pause":             {busy, func(l *Limit) { l.Breaker = BreakerRule{} }, 0},
		"no pause of another": {busy, func(l *Limit) { l.URL = "http://b" }, 1},
		"more at once":        {nil, func(l *Limit) { l.InFlight = 9 }, 4},
		"fewer at once":       {nil, func(l *Limit) { l.InFlight = 1 }, 0},
		"a larger burst":      {nil, func(l *Limit) { l.InFlight, l.Burst = 9, 8 }, 4},
		"a smaller burst":     {nil, func(l *Limit) { l.InFlight, l.Burst = 9, 3 }, 3},
		"no rate":             {nil, func(l *Limit) { l.InFlight, l.Rate, l.Burst = 9, 0, 0 }, 8},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewGates(map[string]Limit{"a": first}, newClock().now, slog.New(slog.DiscardHandler))
			renewed := 0
			g.onChange(func() { renewed++ })
			g.begin("a") // and it runs on
			if tt.response != nil {
				g.report("a", g.epoch("a"), tt.response, nil)
			}
			changed := first
			tt.change(&changed)
			g.Change(map[string]Limit{"a": changed})
			n, _ := creditOf(g)
			require.Equal(t, tt.want, n)
			require.Equal(t, 1, renewed)
		})
	}
}

func TestARateThatIsNewBeginsWithItsBurst(t *testing.T) {
	t.Parallel()
	g := NewGates(map[string]Limit{"a": {}}, newClock().now, slog.New(slog.DiscardHandler))
	for range 100 {
		g.begin("a")
		g.end("a", true, 0)
	}
	g.Change(map[string]Limit{"a": {Rate: 1, Burst: 3}})
	n, _ := creditOf(g)
	require.Equal(t, 3, n)
}

// TestAnEndpointComesBack removes an endpoint while a call runs: the call counts when the endpoint is back, and what it
// says about a backend that was given up does not.
func TestAnEndpointComesBack(t *testing.T) {
	t.Parallel()
	limit := Limit{InFlight: 2, Breaker: opening, URL: "http://a"}
	g := NewGates(map[string]Limit{"a": limit, "b": limit}, newClock().now, slog.New(slog.DiscardHandler))
	g.begin("a")
	began := g.epoch("a")
	g.Change(map[string]Limit{"b": limit})
	require.NotContains(t, g.Breakers(), "a")
	require.Empty(t, g.heldBack())
	credits, _ := g.credits(10)
	require.NotContains(t, credits, "a")

	g.Change(map[string]Limit{"a": limit, "b": limit})
	n, _ := creditOf(g)
	require.Equal(t, 1, n)
	g.report("a", began, &domain.Response{StatusCode: http.StatusBadGateway}, nil)
	require.Equal(t, BreakerClosed, g.Breakers()["a"])
	g.end("a", true, 0)
	n, _ = creditOf(g)
	require.Equal(t, 2, n)

	g.Change(nil)
	require.Empty(t, g.gates)
	g.begin("a")
	g.Change(map[string]Limit{"a": limit})
	g.end("a", true, 0) // of a call that is older than the gate
	n, _ = creditOf(g)
	require.Equal(t, 2, n)
}

// TestACreditNamesTheEndpointsOfThisMoment changes them between the two steps of making a credit.
func TestACreditNamesTheEndpointsOfThisMoment(t *testing.T) {
	t.Parallel()
	gates := NewGates(nil, time.Now, slog.New(slog.DiscardHandler))
	c := newCapacity(Options{Slots: 2, MaxBytes: 100, Gates: gates, Known: []string{"a"}})
	credit, ok := c.room(t.Context())
	require.True(t, ok)
	c.change(2, []string{"a", "b"})
	valid, done := c.limit(t.Context(), &credit)
	defer done()
	require.Equal(t, setOf([]string{"a", "b"}), credit.Known)
	c.change(2, []string{"b"})
	require.Error(t, valid.Err(), "the credit is out of date")
}
