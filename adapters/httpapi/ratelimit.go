package httpapi

import (
	"container/list"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"
)

// RateLimit bounds the requests of each client: a key or, without keys, an address.
type RateLimit struct {
	RPS   float64 // requests a second in the long run; 0: no limit
	Burst int     // requests at once after a pause; at least 1
}

// maxClients is how many clients are remembered, in some 20 MB: more than may be connected by default. Beyond that the
// least recent are forgotten, and so get a full bucket again. Only a client with that many addresses could exploit
// this, and it has as many full buckets anyway.
const maxClients = 1 << 16

var errRateLimited = errors.New("too many requests; retry after the time in Retry-After")

// limitRate comes after authenticate.
func (a *api) limitRate(c *gin.Context) error {
	limiter := a.access.Load().limiter
	if limiter == nil {
		return nil
	}
	return a.spend(c, limiter, a.client(c))
}

// client returns the name that limits are counted by: that of a key or, without keys, an address. It comes after
// authenticate.
func (a *api) client(c *gin.Context) string {
	if name := callerOf(c).Name; name != "" {
		return name
	}
	return a.address(c)
}

// address returns the client's address, see ProxyTrust.
func (a *api) address(c *gin.Context) string { return a.opts.TrustedProxies.client(c.Request).String() }

// spend takes a token of the client. Without one it sets Retry-After and returns errRateLimited.
func (a *api) spend(c *gin.Context, from *limiter, client string) error {
	wait := from.take(client, a.opts.Now())
	if wait <= 0 {
		return nil
	}
	seconds := int64(math.Ceil(wait.Seconds()))
	c.Header("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
	return errRateLimited
}

// limiter has a token bucket for each recent client. It is safe for concurrent use.
type limiter struct {
	limit RateLimit
	full  time.Duration // after which any bucket is full again, so that it can be forgotten

	mu      sync.Mutex
	clients map[string]*list.Element // of recent
	recent  *list.List               // of *bucket, most recent first
}

type bucket struct {
	client string
	tokens *rate.Limiter
	used   time.Time
}

// newLimiter returns nil when there is no limit.
func newLimiter(limit RateLimit) *limiter {
	if limit.RPS <= 0 {
		return nil
	}
	return &limiter{
		limit:   limit,
		full:    time.Duration(float64(limit.Burst) / limit.RPS * float64(time.Second)),
		clients: make(map[string]*list.Element),
		recent:  list.New(),
	}
}

// take takes a token of the client and returns 0, or returns how long the client must wait for one.
func (l *limiter) take(client string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	tokens := l.bucket(client, now).tokens
	reservation := tokens.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// bucket returns the client's bucket, and forgets others to make room.
func (l *limiter) bucket(client string, now time.Time) *bucket {
	l.forgetIdle(now)
	if element, known := l.clients[client]; known {
		l.recent.MoveToFront(element)
		found := bucketOf(element)
		found.used = now
		return found
	}
	if l.recent.Len() >= maxClients {
		l.forget(l.recent.Back())
	}
	fresh := &bucket{client: client, tokens: rate.NewLimiter(rate.Limit(l.limit.RPS), l.limit.Burst), used: now}
	l.clients[client] = l.recent.PushFront(fresh)
	return fresh
}

// forgetIdle forgets at most two clients with full buckets. A request adds at most one bucket, so they are forgotten
// faster than they come, and no request pays for many.
func (l *limiter) forgetIdle(now time.Time) {
	for range 2 {
		oldest := l.recent.Back()
		if oldest == nil || now.Sub(bucketOf(oldest).used) < l.full {
			return
		}
		l.forget(oldest)
	}
}

// bucketOf returns the bucket in an element; the list contains nothing else.
func bucketOf(element *list.Element) *bucket {
	found, _ := element.Value.(*bucket)
	return found
}

func (l *limiter) forget(element *list.Element) {
	delete(l.clients, bucketOf(element).client)
	l.recent.Remove(element)
}
