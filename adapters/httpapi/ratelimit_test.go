package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWithoutALimitThereIsNoLimiter(t *testing.T) {
	t.Parallel()
	require.Nil(t, newLimiter(RateLimit{}))
}

func TestABucketFillsAgain(t *testing.T) {
	t.Parallel()
	l := newLimiter(RateLimit{RPS: 2, Burst: 3})
	for range 3 {
		require.Zero(t, l.take("a", testNow))
	}
	for range 10 { // being refused costs nothing
		require.Equal(t, 500*time.Millisecond, l.take("a", testNow))
	}
	require.Zero(t, l.take("b", testNow), "everybody has a bucket")
	require.Equal(t, 250*time.Millisecond, l.take("a", testNow.Add(250*time.Millisecond)))
	require.Zero(t, l.take("a", testNow.Add(500*time.Millisecond)))
	require.Positive(t, l.take("a", testNow.Add(500*time.Millisecond)))
	later := testNow.Add(time.Hour)
	for range 3 {
		require.Zero(t, l.take("a", later))
	}
	require.Positive(t, l.take("a", later), "a pause gives a burst and no more")
}

func TestIdleClientsAreForgotten(t *testing.T) {
	t.Parallel()
	l := newLimiter(RateLimit{RPS: 1, Burst: 10})
	for i := range 100 {
		l.take(fmt.Sprint(i), testNow)
	}
	l.take("99", testNow.Add(9*time.Second))
	require.Len(t, l.clients, 100, "not before their buckets are full")
	for range 60 {
		l.take("99", testNow.Add(10*time.Second))
	}
	require.Len(t, l.clients, 1)
	require.Equal(t, 1, l.recent.Len())
	require.Contains(t, l.clients, "99")
}

func TestAClientThatComesBackIsNotIdle(t *testing.T) {
	t.Parallel()
	l := newLimiter(RateLimit{RPS: 1, Burst: 10})
	l.take("a", testNow)
	for range 10 {
		require.Zero(t, l.take("a", testNow.Add(9*time.Second)))
	}
	require.Zero(t, l.take("a", testNow.Add(10*time.Second)))
	require.Positive(t, l.take("a", testNow.Add(10*time.Second)), "its empty bucket is remembered")
}

func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLimiter(RateLimit{RPS: 0.001, Burst: 1})
	for i := range maxClients {
		require.Zero(t, l.take(fmt.Sprint(i), testNow))
	}
	require.Positive(t, l.take("0", testNow), "still remembered, and now the latest")
	require.Zero(t, l.take("one more", testNow))
	require.Len(t, l.clients, maxClients)
	require.Equal(t, maxClients, l.recent.Len())
	require.Positive(t, l.take("0", testNow))
	require.NotContains(t, l.clients, "1", "the one that was away for longest")
}

func TestALimitHoldsForManyAtOnce(t *testing.T) {
	t.Parallel()
	l := newLimiter(RateLimit{RPS: 0.001, Burst: 50})
	var mu sync.Mutex
	var asking sync.WaitGroup
	taken := 0
	for range 200 {
		asking.Go(func() {
			if l.take("a", testNow) == 0 {
				mu.Lock()
				defer mu.Unlock()
				taken++
			}
		})
	}
	asking.Wait()
	require.Equal(t, 50, taken)
}

// limited makes one request in ten seconds the limit.
func limited(o *Options) { o.Access.RateLimit = RateLimit{RPS: 0.1, Burst: 1} }

func TestLimitedRoutes(t *testing.T) {
	t.Parallel()
	for _, row := range access {
		t.Run(row.method+" "+row.path, func(t *testing.T) {
			t.Parallel()
			r := start(t, &fakes{}, gate, limited)
			require.Equal(t, http.StatusOK, r.do("GET", statusURL, "").StatusCode, "the one")
			body := ""
			if row.method == http.MethodPost {
				body = `{}`
			}
			a := r.do(row.method, row.path, body)
			switch row.path {
			case "/api/v1/submit", "/api/v1/status/:id", "/api/v1/response/:id", "/api/v1/response/:id/raw",
				"/proxy/orders/x", "/proxy/orders":
				requireProblem(t, a, http.StatusTooManyRequests, "RATE_LIMITED")
				require.Equal(t, "10", a.Header.Get("Retry-After"))
			default:
				require.NotEqual(t, http.StatusTooManyRequests, a.StatusCode)
			}
			require.NotEqual(t, http.StatusTooManyRequests, r.admin().do("GET", "/metrics", "").StatusCode)
		})
	}
}

func TestRetryAfterIsAtLeastASecond(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, gate, func(o *Options) { o.Access.RateLimit = RateLimit{RPS: 1000, Burst: 1} })
	require.Equal(t, http.StatusOK, r.do("GET", statusURL, "").StatusCode)
	a := r.do("GET", statusURL, "")
	requireProblem(t, a, http.StatusTooManyRequests, "RATE_LIMITED")
	require.Equal(t, "1", a.Header.Get("Retry-After"))
}

func TestKeysAreLimitedByName(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, keyed, limited)
	require.Equal(t, http.StatusOK, r.do("GET", statusURL, "", "X-OpenHQM-Key", "shop").StatusCode)
	a := r.do("GET", statusURL, "", "X-OpenHQM-Key", "shop")
	requireProblem(t, a, http.StatusTooManyRequests, "RATE_LIMITED")
	require.Equal(t, http.StatusOK, r.do("GET", statusURL, "", "X-OpenHQM-Key", "ops").StatusCode)
	a = r.do("GET", statusURL, "", "X-OpenHQM-Key", "wrong")
	requireProblem(t, a, http.StatusUnauthorized, "UNAUTHORIZED")
}

func TestClientsBehindATrustedProxyAreLimitedApart(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, gate, limited, func(o *Options) {
		o.TrustedProxies = ProxyTrust{netip.MustParsePrefix("127.0.0.0/8")}
	})
	status := func(forwarded string) int {
		return r.do("GET", statusURL, "", "X-Forwarded-For", forwarded).StatusCode
	}
	require.Equal(t, http.StatusOK, status("203.0.113.1"))
	require.Equal(t, http.StatusTooManyRequests, status("198.51.100.1, 203.0.113.1"))
	require.Equal(t, http.StatusOK, status("203.0.113.2"))
	require.Equal(t, http.StatusOK, status("2001:db8::1"))
	require.Equal(t, http.StatusTooManyRequests, status("2001:db8::2"), "the same network")
	require.Equal(t, http.StatusOK, status("2001:db8:0:1::1"))
}

// TestAChangedAccessCountsFromTheNextRequestOn changes the keys, then the limit, and then neither.
func TestAChangedAccessCountsFromTheNextRequestOn(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, gate)
	status := func(key string) int { return r.do("GET", statusURL, "", "X-OpenHQM-Key", key).StatusCode }
	require.Equal(t, http.StatusOK, status("nobody asks"))
	r.server.Change(Access{Keys: testKeys()})
	require.Equal(t, http.StatusUnauthorized, status("nobody asks"))
	for range 3 {
		require.Equal(t, http.StatusOK, status("shop"))
	}
	once := Access{Keys: testKeys(), RateLimit: RateLimit{RPS: 0.1, Burst: 1}}
	r.server.Change(once)
	require.Equal(t, http.StatusOK, status("shop"))
	r.server.Change(once)
	require.Equal(t, http.StatusTooManyRequests, status("shop"), "what is left of the same limit stays")
	r.server.Change(Access{})
	require.Equal(t, http.StatusOK, status("nobody asks"))
}
