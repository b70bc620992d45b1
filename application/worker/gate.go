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

// Limit bounds what one process does to one endpoint.
type Limit struct {
	InFlight int           // calls at once; 0: no limit
	Rate     float64       // calls a second; 0: no limit
	Burst    int           // calls that may come at once after a pause; at least 1 where Rate is set
	Failures int           // in a row that open the breaker; 0: no breaker
	Cooldown time.Duration // for which an open breaker lets nothing through
}

// BreakerState tells whether an endpoint is called.
type BreakerState = int

// The states of a breaker, as the metric openhqm_breaker_state shows them.
const (
	BreakerClosed   BreakerState = iota // calls go through
	BreakerHalfOpen                     // one call is let through, to see
	BreakerOpen                         // nothing is called until the cooldown is over
)

// Gates are the limits of all endpoints. They never refuse work that was fetched: they say beforehand how much of an
// endpoint's work to fetch. What waits for a limit stays in its queue, uncharged and untouched.
type Gates struct {
	now func() time.Time

	mu     sync.Mutex
	gates  map[string]*gate
	change func() // called when a gate opens that the last credits held back
}

// gate is the state of one endpoint. A token is a call that the rate allows.
type gate struct {
	limit    Limit
	inFlight int
	tokens   float64
	filled   time.Time // when tokens were last counted

	failures int       // in a row
	until    time.Time // of an open breaker; zero when it is closed

	held bool // the last credits held the endpoint back
}

// NewGates makes the gates of the endpoints that have limits.
func NewGates(limits map[string]Limit, now func() time.Time) *Gates {
	g := &Gates{now: now, gates: make(map[string]*gate, len(limits)), change: func() {}}
	for name, limit := range limits {
		g.gates[name] = &gate{limit: limit, tokens: float64(limit.Burst), filled: now()}
	}
	return g
}

// Breakers gives the state of every breaker, by endpoint.
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

// credits says how many calls of each endpoint may begin, for those that may not have all of want, and when time alone
// will change that; zero when it will not.
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

// begin counts a call that was fetched with these credits.
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

// openFor tells how long the endpoint's breaker stays open; zero when it is not. Work that was fetched before it opened
// is not called any more.
func (g *Gates) openFor(endpoint string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate, now := g.gates[endpoint], g.now()
	if gate == nil || gate.state(now) != BreakerOpen {
		return 0
	}
	return gate.until.Sub(now)
}

// end counts a call off, made or not.
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

// onChange says whom to tell that a gate has opened which the last credits held back.
func (g *Gates) onChange(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change = change
}

// Backend returns next with an eye on how its calls end, for the breakers.
func (g *Gates) Backend(next ports.Backend) ports.Backend { return watched{next: next, gates: g} }

type watched struct {
	next  ports.Backend
	gates *Gates
}

// Do makes the call and counts its end.
func (w watched) Do(ctx context.Context, call ports.Call) (*domain.Response, error) {
	response, err := w.next.Do(ctx, call)
	w.gates.report(call.Request.Endpoint, response, err)
	return response, err
}

// report opens the breaker after so many failures in a row, and closes it after a success.
func (g *Gates) report(endpoint string, response *domain.Response, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.gates[endpoint]
	if gate == nil || gate.limit.Failures == 0 {
		return
	}
	now := g.now()
	if gate.state(now) == BreakerOpen {
		return // of a call that had begun before: it says nothing new
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

// verdict is what a call says about its endpoint.
type verdict int

const (
	unknown verdict = iota
	healthy
	unhealthy
)

// verdictOf takes for unhealthy what says that the endpoint, not the request, is in trouble: no answer, or a status
// that broken and overloaded servers, and gateways in front of them, send. An answer that is too large, a 404 or a 501
// comes from an endpoint that works.
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
	default: // our own doing
		return unknown
	}
}

// free says how many of want calls may begin now, and when time alone lets more through; zero when it does not.
func (g *gate) free(now time.Time, want int) (n int, next time.Time) {
	n = want
	if g.limit.InFlight > 0 {
		n = min(n, max(g.limit.InFlight-g.inFlight, 0))
	}
	switch g.state(now) {
	case BreakerOpen:
		return 0, g.until
	case BreakerHalfOpen: // one trial, when the calls from before have ended
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
		case g.tokens >= float64(g.limit.Burst): // time brings no more
			return tokens, time.Time{}
		default:
			return tokens, now.Add(g.untilTokens())
		}
	}
	return n, time.Time{}
}

// tokenPause is the shortest pause between two looks for new tokens: fast rates are let through in small bunches, or
// each call would cost a fetch of its own.
const tokenPause = 10 * time.Millisecond

// untilTokens is how long it takes until there is a token more, and enough of them to be worth a look.
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
