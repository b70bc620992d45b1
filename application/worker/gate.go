package worker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Limit bounds the calls that one process makes to one endpoint.
type Limit struct {
	InFlight int         // calls at once; 0: no limit
	Rate     float64     // calls a second; 0: no limit
	Burst    int         // calls that may come at once after a pause; at least 1 where Rate is set
	Breaker  BreakerRule // zero: none
	URL      string      // of the backend: the breaker and a pause say something about that one alone
}

// Gates are the limits of all endpoints. They never refuse work that was fetched: they say beforehand how much of an
// endpoint's work to fetch. What waits for a limit stays in its queue, uncharged and untouched.
type Gates struct {
	now    func() time.Time
	logger *slog.Logger

	mu     sync.Mutex
	gates  map[string]*gate
	change func()        // called when an endpoint that the last credits bounded may have more
	paused chan struct{} // holds a value after a pause began that other processes do not know
}

// gate is the state of one endpoint. Each token is a call that the rate allows.
type gate struct {
	name     string
	limit    Limit
	inFlight int
	tokens   float64
	filled   time.Time // when tokens were last counted

	breaker breaker
	paused  time.Time // no calls until then
	why     string    // it is paused
	pauses  pauseLog  // of those that backends asked for
	shared  time.Time // until when other processes know that it is paused
	starved time.Time // when the log last said that this process lacks something

	held    bool // the last credits bounded the endpoint
	removed bool // by Change, while calls ran
}

// NewGates makes the gates of the endpoints that have limits. Changes of breakers are logged.
func NewGates(limits map[string]Limit, now func() time.Time, logger *slog.Logger) *Gates {
	g := &Gates{
		now: now, logger: logger, gates: make(map[string]*gate, len(limits)), change: func() {},
		paused: make(chan struct{}, 1),
	}
	for name, limit := range limits {
		g.gates[name] = newGate(name, limit, now())
	}
	return g
}

func newGate(name string, limit Limit, now time.Time) *gate {
	return &gate{name: name, limit: limit, tokens: float64(limit.Burst), filled: now, breaker: newBreaker(limit.Breaker)}
}

// Change replaces the limits, and ends the credits that were given before. An endpoint keeps what its rate allows at
// this moment, and with the same URL its pause. With the same rule, too, it keeps the state of its breaker.
func (g *Gates) Change(limits map[string]Limit) {
	g.mu.Lock()
	now := g.now()
	for name, gate := range g.gates {
		if _, stays := limits[name]; !stays {
			gate.removed = true
			g.forget(gate)
		}
	}
	for name, limit := range limits {
		if gate := g.gates[name]; gate != nil {
			gate.change(limit, now)
		} else {
			g.gates[name] = newGate(name, limit, now)
		}
	}
	g.mu.Unlock()
	g.renewCredits()
}

// change replaces the limit of an endpoint.
func (g *gate) change(limit Limit, now time.Time) {
	g.refill(now)
	if g.limit.Rate == 0 {
		g.tokens, g.filled = float64(limit.Burst), now
	}
	g.tokens = min(g.tokens, float64(limit.Burst))
	other := g.removed || g.limit.URL != limit.URL
	if other {
		g.paused, g.shared, g.pauses = time.Time{}, time.Time{}, pauseLog{}
	}
	if other || g.limit.Breaker != limit.Breaker {
		epoch := g.breaker.epoch + 1 // calls that run say nothing about it
		g.breaker = newBreaker(limit.Breaker)
		g.breaker.epoch = epoch
	}
	g.limit, g.removed = limit, false
}

// forget drops the gate of an endpoint that was removed, when its last call has ended. Called with mu held.
func (g *Gates) forget(gate *gate) {
	if gate.removed && gate.inFlight == 0 {
		delete(g.gates, gate.name)
	}
}

// renewCredits ends the credits that were given.
func (g *Gates) renewCredits() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change()
}

// Breakers returns the state of every breaker, by endpoint. It does not block.
func (g *Gates) Breakers() map[string]BreakerState {
	g.mu.Lock()
	defer g.mu.Unlock()
	states := make(map[string]BreakerState, len(g.gates))
	for name, gate := range g.gates {
		if !gate.removed && !gate.limit.Breaker.Off() {
			states[name] = g.tick(gate, g.now())
		}
	}
	return states
}

// heldBack returns the endpoints that are not called, or only to see whether they work, and why. It does not block.
func (g *Gates) heldBack() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	why := make(map[string]string)
	now := g.now()
	for name, gate := range g.gates {
		state := g.tick(gate, now)
		switch {
		case gate.removed:
		case state == BreakerOpen:
			why[name] = "breaker open"
		case now.Before(gate.paused):
			why[name] = gate.why
		case state == BreakerHalfOpen:
			why[name] = "breaker half-open"
		}
	}
	return why
}

// credits returns how many calls may begin, by endpoint, for the endpoints that may not have all of want. Next is when
// time alone will change that; zero: it will not.
func (g *Gates) credits(want int) (credits map[string]int, next time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for name, gate := range g.gates {
		if gate.removed {
			continue
		}
		free, at := gate.free(now, g.tick(gate, now), want)
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

// closedFor returns how long the endpoint is not to be called, because its breaker is open or it is paused; zero when
// it may be. Work that was fetched before that is not called any more.
func (g *Gates) closedFor(endpoint string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate, now := g.gates[endpoint], g.now()
	if gate == nil {
		return 0
	}
	wait := max(gate.paused.Sub(now), 0)
	if g.tick(gate, now) == BreakerOpen {
		wait = max(wait, gate.breaker.until.Sub(now))
	}
	return wait
}

// end counts the end of a delivery. One that was handed back without a call returns its token. Probe is that of
// its choice.
func (g *Gates) end(endpoint string, called bool, probe int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.gates[endpoint]
	if gate == nil {
		return
	}
	if !called {
		gate.tokens = min(gate.tokens+1, float64(gate.limit.Burst))
	}
	gate.inFlight = max(gate.inFlight-1, 0) // the gate may be younger than the call
	gate.breaker.probed(probe)
	if gate.inFlight == 0 {
		g.forget(gate)
	}
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
	epoch := w.gates.epoch(call.Request.Endpoint)
	response, err := w.next.Do(ctx, call)
	reported := err
	if err != nil && errors.Is(context.Cause(ctx), ports.ErrHasty) {
		reported = ports.ErrHasty
	}
	w.gates.report(call.Request.Endpoint, epoch, response, reported)
	return response, err
}

// epoch returns the epoch of an endpoint's breaker.
func (g *Gates) epoch(endpoint string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.gates[endpoint]
	if gate == nil {
		return 0
	}
	g.tick(gate, g.now())
	return gate.breaker.epoch
}

// report notes how a call ended that began in an epoch of the breaker. A backend that says when to come back is left
// alone until then, which says nothing about its health.
func (g *Gates) report(endpoint string, epoch int, response *domain.Response, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.gates[endpoint]
	if gate == nil {
		return
	}
	now := g.now()
	if wait := comeBack(response, now); wait > 0 {
		g.pauseFor(gate, now.Add(wait))
		return
	}
	if failure, ok := errors.AsType[*domain.Failure](err); ok && !failure.Kind.Charged() {
		g.holdOff(gate, now, failure.Kind)
		return
	}
	if gate.pauses.over(now, gate.paused) {
		g.logger.Info("endpoint no longer paused: its backend did not ask for it for a minute", "endpoint", gate.name)
	}
	g.tick(gate, now)
	if gate.breaker.report(now, epoch, verdictOf(response, err)) {
		g.logBreaker(gate)
	}
}

// maxPause bounds how long a Retry-After keeps all calls from an endpoint: the next call asks again. The request that
// was answered so waits for as long as it says.
const maxPause = 10 * time.Minute

// comeBack returns how long a backend that is overloaded wants to be left alone; 0: it does not say (RFC 9110 section
// 10.2.3, RFC 6585 section 4).
func comeBack(response *domain.Response, now time.Time) time.Duration {
	if response == nil || response.StatusCode != http.StatusServiceUnavailable &&
		response.StatusCode != http.StatusTooManyRequests {
		return 0
	}
	return min(domain.RetryAfter(response.Header.Get("Retry-After"), now), maxPause)
}

// pauseFor keeps calls from an endpoint whose backend asked for it. Called with mu held.
func (g *Gates) pauseFor(gate *gate, until time.Time) {
	if now := g.now(); !gate.paused.After(now) {
		if n := gate.pauses.begin(now); n > 0 {
			g.logger.Warn("endpoint paused: its backend asked for it by Retry-After",
				"endpoint", gate.name, "until", until, "pauses", n)
		}
	}
	gate.pause(until, whyPaused)
	if until.Sub(gate.shared) >= pauseSlack {
		select {
		case g.paused <- struct{}{}:
		default:
		}
	}
}

// whyPaused is why an endpoint is not called whose backend asked for it, in this process or in another.
const whyPaused = "paused by Retry-After"

const (
	starvedPause = time.Second // between two tries to call an endpoint while this process lacks something
	starvedQuiet = time.Minute // between two log lines about that
)

// holdOff keeps calls from an endpoint after one that was no attempt. Called with mu held.
func (g *Gates) holdOff(gate *gate, now time.Time, kind domain.FailureKind) {
	if kind == domain.FailureShortage {
		g.starve(gate, now)
		return
	}
	gate.pause(now.Add(starvedPause), "paused: the backend turns requests away unread")
}

// starve keeps calls from an endpoint that could not be called for want of something of our own. That says nothing
// about its backend. Called with mu held.
func (g *Gates) starve(gate *gate, now time.Time) {
	if gate.starved.IsZero() || now.Sub(gate.starved) >= starvedQuiet {
		gate.starved = now
		g.logger.Warn("calls wait, uncharged: this process has no file descriptors or local ports left; raise its limits",
			"endpoint", gate.name)
	}
	gate.pause(now.Add(starvedPause), "paused: no file descriptors or local ports left")
}

func (g *gate) pause(until time.Time, why string) {
	if until.After(g.paused) {
		g.paused, g.why = until, why
	}
}

// tick brings the breaker up to date and returns its state. Called with mu held.
func (g *Gates) tick(gate *gate, now time.Time) BreakerState {
	before := gate.breaker.phase
	state := gate.breaker.tick(now)
	if state != before {
		g.logBreaker(gate)
	}
	return state
}

// logBreaker tells of a change. Called with mu held.
func (g *Gates) logBreaker(gate *gate) {
	switch gate.breaker.phase {
	case BreakerOpen:
		g.logger.Warn("circuit breaker open: the endpoint is not called for the cooldown",
			"endpoint", gate.name, "cooldown", gate.limit.Breaker.Cooldown.String())
	case BreakerHalfOpen:
		g.logger.Warn("circuit breaker half-open: a few calls find out whether the endpoint works",
			"endpoint", gate.name, "probes", gate.limit.Breaker.Probes)
	case BreakerClosed:
		g.logger.Warn("circuit breaker closed: the endpoint is called again", "endpoint", gate.name)
	}
}

// choicePerProbe is how many requests are fetched for each probe of a half-open breaker, to choose from.
const choicePerProbe = 8

// choice is what becomes of a delivery of a half-open endpoint.
type choice struct {
	back  bool          // it is handed back
	delay time.Duration // for which it is; 0: it keeps its place in the queue
	probe int           // the epoch of the breaker, when it is a probe; 0: it is none
}

// choose returns what becomes of the deliveries that were fetched, by token; those that are not named are called. An
// endpoint that is half-open gets its probes and no more. Those that were tried least often go first: a request that
// its backend cannot bear must not be the one that decides, again and again, for all the others. Of the rest, what was
// never tried keeps its place in the queue, and what was makes room for what else may be chosen.
func (g *Gates) choose(deliveries []ports.Delivery) map[string]choice {
	g.mu.Lock()
	defer g.mu.Unlock()
	var choices map[string]choice
	now := g.now()
	order := slices.Clone(deliveries)
	slices.SortStableFunc(order, func(a, b ports.Delivery) int { return cmp.Compare(a.Attempts, b.Attempts) })
	for i := range order {
		gate := g.gates[order[i].Request.Endpoint]
		if gate == nil || g.tick(gate, now) != BreakerHalfOpen {
			continue
		}
		c := choice{back: true}
		switch {
		case gate.breaker.room() > 0:
			c = choice{probe: gate.breaker.probe()}
		case order[i].Attempts > 0:
			c.delay = gate.limit.Breaker.Cooldown
		}
		if choices == nil {
			choices = make(map[string]choice)
		}
		choices[order[i].Token] = c
	}
	return choices
}

// free says how many of want calls may begin now, and when time alone lets more through; zero when it does not.
func (g *gate) free(now time.Time, state BreakerState, want int) (n int, next time.Time) {
	n = want
	if g.limit.InFlight > 0 {
		n = min(n, max(g.limit.InFlight-g.inFlight, 0))
	}
	switch {
	case now.Before(g.paused):
		return 0, g.paused
	case state == BreakerOpen:
		return 0, g.breaker.until
	case state == BreakerHalfOpen:
		n = min(n, g.breaker.room()*choicePerProbe)
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
