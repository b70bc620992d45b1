package worker

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Limit bounds the calls that one process makes to one endpoint.
type Limit struct {
	InFlight int           // concurrent calls; 0: no limit
	Rate     float64       // calls a second; 0: no limit
	Burst    int           // calls that may begin at once after a pause; at least 1 where Rate is set
	Failures int           // consecutive ones that open the breaker; 0: no breaker
	Cooldown time.Duration // how long an open breaker lets no call through
}

// BreakerState says whether an endpoint is called.
type BreakerState = int

// The states of a breaker, as the metric openhqm_breaker_state shows them.
const (
	BreakerClosed   BreakerState = iota // calls go through
	BreakerHalfOpen                     // one trial call goes through
	BreakerOpen                         // no call goes through until the cooldown is over
)

// Gates are the limits and breakers of all endpoints. They say beforehand how much work of an endpoint to fetch, so
// that work which waits for a limit stays in the queue, uncharged and untouched. They are safe for concurrent use.
type Gates struct {
	now func() time.Time

	mu     sync.Mutex
	gates  map[string]*gate
	change func() // called when an endpoint that the last credits bounded may have more
}

// gate is the state of one endpoint. Each token is a call that the rate allows.
type gate struct {
	limit    Limit
	inFlight int
	tokens   float64
	filled   time.Time // when tokens were last counted

	failures int       // consecutive
	until    time.Time // of an open breaker; zero when it is closed

	held bool // the last credits bounded the endpoint
}

// NewGates returns the gates of endpoints, by name. Endpoints without a Limit are not bounded.
func NewGates(limits map[string]Limit, now func() time.Time) *Gates {
	g := &Gates{now: now, gates: make(map[string]*gate, len(limits)), change: func() {}}
	for name, limit := range limits {
		g.gates[name] = &gate{limit: limit, tokens: float64(limit.Burst), filled: now()}
	}
	return g
}

// Breakers returns the state of every breaker, by endpoint. It does not block.
func (g *Gates) Breakers() map[string]BreakerState {
	g.mu.Lock()
	defer g.mu.Unlock()
	states := make(map[string]BreakerState, len(g.gates))
	for name, gate := range g.gates {
		if gate.limit.Failures > 0 {
			states[name] = gate.state(g.now())
		}
	}
	return states
}

// credits returns how many calls may begin, by endpoint, for the endpoints that may not have all of want. Next is when
// time alone will change that; zero: it will not.
func (g *Gates) credits(want int) (credits map[string]int, next time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for name, gate := range g.gates {
		free, at := gate.free(now, want)
		if gate.held = free < want; !gate.held {
			continue
		}
		if credits == nil {
			credits = make(map[string]int)
		}
		credits[name] = free
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return credits, next
}

// begin counts a call whose delivery was fetched.
func (g *Gates) begin(endpoint string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.gates[endpoint]
	if gate == nil {
		return
	}
	gate.refill(g.now())
	gate.inFlight++
	gate.tokens--
}

// openFor returns how long the endpoint's breaker stays open; 0: it is not open.
func (g *Gates) openFor(endpoint string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate, now := g.gates[endpoint], g.now()
	if gate == nil || gate.state(now) != BreakerOpen {
		return 0
	}
	return gate.until.Sub(now)
}

// end counts the end of a delivery, whether or not a call was made for it.
func (g *Gates) end(endpoint string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.gates[endpoint]
	if gate == nil {
		return
	}
	gate.inFlight--
	if gate.held {
		gate.held = false
		g.change()
	}
}

// onChange sets what to call when an endpoint that the last credits bounded may have more.
func (g *Gates) onChange(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change = change
}

// Backend returns a Backend that calls next and moves the breakers by the outcome of each call.
func (g *Gates) Backend(next ports.Backend) ports.Backend { return watched{next: next, gates: g} }

type watched struct {
	next  ports.Backend
	gates *Gates
}

// Do calls the backend and reports the outcome.
func (w watched) Do(ctx context.Context, call ports.Call) (*domain.Response, error) {
	response, err := w.next.Do(ctx, call)
	w.gates.report(call.Request.Endpoint, response, err)
	return response, err
}

// report opens the breaker after Limit.Failures consecutive failures, and closes it after a success.
func (g *Gates) report(endpoint string, response *domain.Response, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.gates[endpoint]
	if gate == nil || gate.limit.Failures == 0 {
		return
	}
	now := g.now()
	if gate.state(now) == BreakerOpen {
		return // the call began before the breaker opened, so its outcome says nothing new
	}
	switch verdictOf(response, err) {
	case healthy:
		gate.failures, gate.until = 0, time.Time{}
	case unhealthy:
		gate.failures++
		if gate.failures >= gate.limit.Failures {
			gate.until = now.Add(gate.limit.Cooldown)
		}
	case unknown:
	}
}

// verdict is what the outcome of a call says about its endpoint.
type verdict int

const (
	unknown verdict = iota
	healthy
	unhealthy
)

// verdictOf returns unhealthy when the endpoint fails rather than the request: there is no response, or one with a
// status that broken or overloaded servers and the gateways before them send. A response that is too large, a 404 or a
// 501 comes from an endpoint that works.
func verdictOf(response *domain.Response, err error) verdict {
	if err == nil {
		switch response.StatusCode {
		case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
			http.StatusGatewayTimeout:
			return unhealthy
		default:
			return healthy
		}
	}
	var failure *domain.Failure
	if !errors.As(err, &failure) {
		return unhealthy
	}
	switch failure.Kind {
	case domain.FailureUnreachable, domain.FailureTimeout, domain.FailureBroken:
		return unhealthy
	case domain.FailureTooLarge:
		return healthy
	default: // our own shutdown, or a request that cannot be sent
		return unknown
	}
}

// free returns how many of want calls may begin now, and when time alone lets more through; zero: it does not.
func (g *gate) free(now time.Time, want int) (n int, next time.Time) {
	n = want
	if g.limit.InFlight > 0 {
		n = min(n, max(g.limit.InFlight-g.inFlight, 0))
	}
	switch g.state(now) {
	case BreakerOpen:
		return 0, g.until
	case BreakerHalfOpen: // one trial call, once the earlier ones have ended
		n = min(n, 1)
		if g.inFlight > 0 {
			n = 0
		}
	case BreakerClosed:
	}
	if g.limit.Rate > 0 {
		g.refill(now)
		switch tokens := max(int(g.tokens), 0); {
		case tokens >= n:
		case g.tokens >= float64(g.limit.Burst): // it cannot grow with time
			return tokens, time.Time{}
		default:
			return tokens, now.Add(g.untilTokens())
		}
	}
	return n, time.Time{}
}

// tokenPause is the shortest time between two fetches that wait for tokens. At a fast rate, calls begin in small groups
// rather than with one fetch each.
const tokenPause = 10 * time.Millisecond

// untilTokens returns how long to wait for at least one more token.
func (g *gate) untilTokens() time.Duration {
	missing := float64(int(max(g.tokens, 0))) + 1 - g.tokens
	return max(time.Duration(missing/g.limit.Rate*float64(time.Second)), tokenPause)
}

func (g *gate) refill(now time.Time) {
	if g.limit.Rate == 0 {
		return
	}
	if passed := now.Sub(g.filled); passed > 0 {
		g.tokens = min(g.tokens+passed.Seconds()*g.limit.Rate, float64(g.limit.Burst))
	}
	g.filled = now
}

func (g *gate) state(now time.Time) BreakerState {
	switch {
	case g.until.IsZero():
		return BreakerClosed
	case now.Before(g.until):
		return BreakerOpen
	default:
		return BreakerHalfOpen
	}
}
