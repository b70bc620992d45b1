package domain_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// centuries is a deadline that no delay reaches.
const centuries = math.MaxInt64

// delayAfter is how long a policy waits after the n-th attempt.
func delayAfter(p *domain.RetryPolicy, n int, random float64) time.Duration {
	a := answeredWith(http.StatusServiceUnavailable)
	a.Charged, a.MaxAttempts, a.Deadline, a.Random = n-1, math.MaxInt, noon.Add(centuries), random
	return p.Decide(a).NextAttemptAt.Sub(noon)
}

func TestBackoffDoublesUpToItsCap(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give domain.RetryPolicy
		n    int
		want time.Duration
	}{
		{"after the first attempt", policy(), 1, time.Second},
		{"after the second", policy(), 2, 2 * time.Second},
		{"after the sixth", policy(), 6, 32 * time.Second},
		{"after the seventh, capped", policy(), 7, time.Minute},
		{"after the 34th, where doubling a Duration overflows", policy(), 34, time.Minute},
		{"after the 65th, where shifting overflows", policy(), 65, time.Minute},
		{"after the 1000th", policy(), 1000, time.Minute},
		{"after the 5000th, beyond floating point", policy(), 5000, time.Minute},
		{"less than a second", domain.RetryPolicy{Base: 1500 * time.Microsecond, Max: time.Hour}, 3, 6 * time.Millisecond},
		{"no delay at all", domain.RetryPolicy{Max: time.Hour}, 1, 0},
		{"no delay at all, beyond floating point", domain.RetryPolicy{Max: time.Hour}, 5000, 0},
		{"a cap below the base", domain.RetryPolicy{Base: time.Hour, Max: time.Minute}, 1, time.Minute},
		{"no cap", domain.RetryPolicy{Base: time.Hour, Max: math.MaxInt64}, 1000, math.MaxInt64/2 + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.give.OnStatus = retryStatuses()
			require.Equal(t, tt.want, delayAfter(&tt.give, tt.n, 0.5))
		})
	}
}

func TestBackoffJitterStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	const almostOne = 1 - 1.0/(1<<53)
	tests := []struct {
		name   string
		n      int
		random float64
		want   time.Duration
	}{
		{"least", 1, 0, 800 * time.Millisecond},
		{"middle", 1, 0.5, time.Second},
		{"most", 1, almostOne, 1200 * time.Millisecond},
		{"a quarter", 3, 0.25, 3600 * time.Millisecond},
		{"around the cap, least", 1000, 0, 48 * time.Second},
		{"around the cap, most", 1000, almostOne, 72 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy()
			require.InDelta(t, tt.want, delayAfter(&p, tt.n, tt.random), float64(time.Microsecond))
		})
	}
}

func TestDecideHeedsRetryAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give string
		left time.Duration
		want verdict
	}{
		{"longer than ours", "90", time.Hour, retryIn(90 * time.Second)},
		{"longer than our cap", "1800", time.Hour, retryIn(30 * time.Minute)},
		{"as a date", "Wed, 04 Mar 2026 12:00:30 GMT", time.Hour, retryIn(30 * time.Second)},
		{"shorter than ours", "0", time.Hour, retryIn(time.Second)},
		{"garbage", "soon", time.Hour, retryIn(time.Second)},
		{"negative", "-100", time.Hour, retryIn(time.Second)},
		{"past", "Wed, 04 Mar 2026 11:00:00 GMT", time.Hour, retryIn(time.Second)},
		{"just before the deadline", "59", time.Minute, retryIn(59 * time.Second)},
		{"at the deadline", "60", time.Minute, pastAnswer},
		{"beyond the deadline", "61", time.Minute, pastAnswer},
		{"far beyond", strings.Repeat("9", 30), time.Minute, pastAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy()
			a := answeredWith(http.StatusTooManyRequests)
			a.Response.Header.Set("retry-after", tt.give)
			a.Deadline = noon.Add(tt.left)
			out := p.Decide(a)
			require.Equal(t, tt.want, verdictOn(out))
			require.Same(t, a.Response, out.Response, "the last response is kept")
			require.Contains(t, out.Error, "429 Too Many Requests")
		})
	}
}

func TestDecideHeedsRetryAfterOnlyOnARetry(t *testing.T) {
	t.Parallel()
	p := policy()
	a := answeredWith(http.StatusMovedPermanently)
	a.Response.Header.Set("Retry-After", "120")
	require.Equal(t, verdict{Status: domain.Completed}, verdictOn(p.Decide(a)))
}
