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
			tt.give.OnStatus = domain.DefaultRetryStatuses()
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

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	tests := []struct {
		name string
		give string
		want time.Duration
	}{
		{"absent", "", 0},
		{"blank", " \t", 0},
		{"seconds", "120", 2 * time.Minute},
		{"seconds with space around", " 120\t", 2 * time.Minute},
		{"leading zeros", "007", 7 * time.Second},
		{"zero", "0", 0},
		{"a year", "31536000", year},
		{"more than a year", "31536001", year},
		{"more seconds than a Duration has", "9223372037", year},
		{"more than an integer has", strings.Repeat("9", 100), year},
		{"negative", "-1", 0},
		{"with a sign", "+1", 0},
		{"a fraction", "1.5", 0},
		{"an exponent", "1e3", 0},
		{"a unit", "5s", 0},
		{"two of them", "5, 10", 0},
		{"digits of another script", "５", 0},
		{"a word", "soon", 0},
		{"NUL", "\x00", 0},
		{"a date", "Wed, 04 Mar 2026 12:00:30 GMT", 30 * time.Second},
		{"a date in the form of RFC 850", "Wednesday, 04-Mar-26 12:00:30 GMT", 30 * time.Second},
		{"a date in the form of asctime", "Wed Mar  4 12:00:30 2026", 30 * time.Second},
		{"a date that is now", "Wed, 04 Mar 2026 12:00:00 GMT", 0},
		{"a date that is past", "Wed, 04 Mar 2026 11:59:59 GMT", 0},
		{"a date far past", "Mon, 01 Jan 0001 00:00:00 GMT", 0},
		{"a date far ahead", "Fri, 31 Dec 9999 23:59:59 GMT", year},
		{"a date that does not exist", "Mon, 30 Feb 2026 12:00:00 GMT", 0},
		{"a date of RFC 3339", "2026-03-04T12:00:30Z", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, domain.RetryAfter(tt.give, noon))
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

// TestDecideRefusal holds that waiting for a limit charges nothing, however often, and ends at the deadline.
func TestDecideRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give time.Duration
		want time.Duration
	}{
		{"as long as the limit says", 7 * time.Second, 7 * time.Second},
		{"at once", 0, 0},
		{"never in the past", -time.Hour, 0},
		{"at the deadline", time.Hour, time.Hour},
		{"not beyond it", 2 * time.Hour, time.Hour},
		{"not beyond it, however long", math.MaxInt64, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy()
			a := failedWith(domain.FailureRefused)
			a.Failure.After, a.Charged = tt.give, 100
			out := p.Decide(a)
			require.Equal(t, retryIn(tt.want), verdictOn(out))
			require.Equal(t, 100, out.Attempts)
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{
		"", "0", "120", " 5 ", "-1", "+1", "1.5", "99999999999999999999", "Wed, 04 Mar 2026 12:00:30 GMT",
		"Wednesday, 04-Mar-26 12:00:30 GMT", "Wed Mar  4 12:00:30 2026", "Fri, 31 Dec 9999 23:59:59 GMT", "soon",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := domain.RetryAfter(value, noon)
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.LessOrEqual(t, got, 365*24*time.Hour)

		date, err := http.ParseTime(strings.TrimSpace(value))
		if err == nil && got > 0 && got < 365*24*time.Hour {
			require.Equal(t, noon.Add(got), date.UTC())
		}
	})
}
