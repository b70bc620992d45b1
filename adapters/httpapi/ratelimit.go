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

// RateLimit bounds the requests of each client: of a key or, without keys, of an address.
type RateLimit struct {
	RPS   float64 // requests a second in the long run; 0: no limit
	Burst int     // requests at once after a pause; at least 1
}

// maxClients is how many clients are remembered: more than connections are open at once by default, in some 20 MB. When
// there are more, those who were away for longest are forgotten, which gives them a full bucket. Only somebody with
// that many addresses could use this, and has as many full buckets anyway.
const maxClients = 1 << 16

var errRateLimited = errors.New("too many requests; Retry-After says when to come again")

// limitRate comes after authenticate.
func (a *api) limitRate(c *gin.Context) error {
	if a.limiter == nil {
		return nil
	}
	return a.take(c, a.limiter, a.client(c))
}

// client names who shares limits: a key or, without keys, an address. It comes after authenticate.
func (a *api) client(c *gin.Context) string {
	if name := callerOf(c).Name; name != "" {
		return name
	}
	return a.address(c)
}

// address is that of the client, see ProxyTrust.
func (a *api) address(c *gin.Context) string { return a.opts.TrustedProxies.client(c.Request).String() }

// take takes a token of the client. Without one it is errRateLimited, with the time to come again on the answer.
func (a *api) take(c *gin.Context, from *limiter, client string) error {
	wait := from.take(client, a.opts.Now())
	if wait <= 0 {
		return nil
	}
	seconds := int64(math.Ceil(wait.Seconds()))
	c.Header("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
	return errRateLimited
}

// limiter has a token bucket for each client that was here lately. It is safe for concurrent use.
type limiter struct {
	limit RateLimit
	full  time.Duration // after which any bucket is full again, and as good as a new one

	mu      sync.Mutex
	clients map[string]*list.Element // of recent
	recent  *list.List               // of *bucket, the latest first
}

type bucket struct {
	client string
	tokens *rate.Limiter
	used   time.Time
}

// newLimiter gives nil where there is no limit.
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

// take takes a token of the client, or tells how long it has to wait for one. Being refused costs nothing.
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

// bucket finds or makes the client's bucket, and forgets others in its place.
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

// forgetIdle drops at most two clients whose buckets are full: one request makes at most one bucket, so they go faster
// than they come, and no request pays for many.
func (l *limiter) forgetIdle(now time.Time) {
	for range 2 {
		oldest := l.recent.Back()
		if oldest == nil || now.Sub(bucketOf(oldest).used) < l.full {
			return
		}
		l.forget(oldest)
	}
}

// bucketOf gives what is in the list, which holds nothing else.
func bucketOf(element *list.Element) *bucket {
	found, _ := element.Value.(*bucket)
	return found
}

func (l *limiter) forget(element *list.Element) {
	delete(l.clients, bucketOf(element).client)
	l.recent.Remove(element)
}
