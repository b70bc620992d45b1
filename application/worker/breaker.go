package worker

import (
	"errors"
	"net/http"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// BreakerRule says when the circuit breaker of an endpoint opens. It opens on a share of failures among the calls of a
// window, on a number of failures in a row, or on whichever comes first.
type BreakerRule struct {
	Ratio    float64       // of failures among the calls in Window that opens it, at most 1; 0: never
	Window   time.Duration // over which calls are counted
	MinCalls int           // fewer calls in Window say nothing
	Failures int           // in a row that open it; 0: never
	Cooldown time.Duration // for which an open breaker lets nothing through
	Probes   int           // calls that a half-open breaker lets through, to see; at least 1
}

// Off reports whether the breaker never opens.
func (r BreakerRule) Off() bool { return r.Ratio == 0 && r.Failures == 0 }

// BreakerState tells whether an endpoint is called.
type BreakerState = int

// The states of a breaker, as the metric openhqm_breaker_state shows them.
const (
	BreakerClosed   BreakerState = iota // calls go through
	BreakerHalfOpen                     // a few calls are let through, to see
	BreakerOpen                         // nothing is called until the cooldown is over
)

// breaker keeps calls away from an endpoint that does not work. It is not safe for concurrent use.
type breaker struct {
	rule  BreakerRule
	phase BreakerState
	until time.Time // of an open breaker
	epoch int       // counts the changes of phase: what began in an earlier one says nothing about this one

	window window // of a closed breaker
	streak int    // failures in a row

	// The probes of a half-open breaker: under way, and how the others ended. What ended without a verdict is none.
	out, healthy, unhealthy int
}

func newBreaker(rule BreakerRule) breaker {
	return breaker{rule: rule, window: window{slice: rule.Window / windowSlices}}
}

// tick returns the state at this moment: an open breaker whose cooldown is over becomes half-open.
func (b *breaker) tick(now time.Time) BreakerState {
	if b.phase == BreakerOpen && !now.Before(b.until) {
		b.change(BreakerHalfOpen)
	}
	return b.phase
}

func (b *breaker) change(phase BreakerState) {
	b.phase = phase
	b.epoch++
	b.window, b.streak = window{slice: b.rule.Window / windowSlices}, 0
	b.out, b.healthy, b.unhealthy = 0, 0, 0
}

// room returns how many probes may begin. It is asked while the breaker is half-open.
func (b *breaker) room() int { return max(b.rule.Probes-b.out-b.healthy-b.unhealthy, 0) }

// probe counts a delivery that is to be a probe. It returns the epoch for probed.
func (b *breaker) probe() (epoch int) {
	b.out++
	return b.epoch
}

// probed ends a probe of an epoch, whether or not it came to a verdict. Without one, another probe may begin.
func (b *breaker) probed(epoch int) {
	if epoch == b.epoch && b.phase == BreakerHalfOpen {
		b.out--
	}
}

// report notes how a call ended that began in an epoch. It reports whether the state changed.
func (b *breaker) report(now time.Time, epoch int, v verdict) (changed bool) {
	before := b.tick(now)
	if epoch != b.epoch || v == unknown || b.rule.Off() {
		return false
	}
	switch b.phase {
	case BreakerClosed:
		b.count(now, v)
	case BreakerHalfOpen:
		b.judge(now, v)
	case BreakerOpen:
	}
	return b.phase != before
}

// count counts a call of a closed breaker, and opens it when there are too many failures.
func (b *breaker) count(now time.Time, v verdict) {
	b.window.add(now, v == unhealthy)
	if v == healthy {
		b.streak = 0
		return
	}
	b.streak++
	calls, failures := b.window.sum(now)
	enough := b.rule.Ratio > 0 && calls >= b.rule.MinCalls && float64(failures) >= b.rule.Ratio*float64(calls)
	if enough || b.rule.Failures > 0 && b.streak >= b.rule.Failures {
		b.open(now)
	}
}

// judge counts a probe. Enough healthy ones close the breaker, enough unhealthy ones open it again.
func (b *breaker) judge(now time.Time, v verdict) {
	if v == healthy {
		b.healthy++
	} else {
		b.unhealthy++
	}
	allowed := float64(b.rule.Probes) * b.ratio()
	switch {
	case float64(b.unhealthy) >= allowed:
		b.open(now)
	case float64(b.rule.Probes-b.healthy) < allowed:
		b.change(BreakerClosed)
	}
}

// ratio is the share of probes that may not fail. A breaker that counts failures in a row takes half.
func (b *breaker) ratio() float64 {
	if b.rule.Ratio == 0 {
		return 0.5
	}
	return b.rule.Ratio
}

func (b *breaker) open(now time.Time) {
	b.change(BreakerOpen)
	b.until = now.Add(b.rule.Cooldown)
}

// windowSlices is how many slices a window is counted in: it forgets one at a time.
const windowSlices = 10

// window counts calls and failures of the last while.
type window struct {
	slice  time.Duration
	counts [windowSlices]struct{ calls, failures int }
	at     int
	began  time.Time // of the slice at
}

func (w *window) add(now time.Time, failure bool) {
	w.move(now)
	w.counts[w.at].calls++
	if failure {
		w.counts[w.at].failures++
	}
}

func (w *window) sum(now time.Time) (calls, failures int) {
	w.move(now)
	for _, c := range w.counts {
		calls, failures = calls+c.calls, failures+c.failures
	}
	return calls, failures
}

// move forgets the slices that are too old.
func (w *window) move(now time.Time) {
	if now.Sub(w.began) >= windowSlices*w.slice {
		*w = window{slice: w.slice, began: now}
		return
	}
	for now.Sub(w.began) >= w.slice {
		w.began = w.began.Add(w.slice)
		w.at = (w.at + 1) % windowSlices
		w.counts[w.at] = struct{ calls, failures int }{}
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
// that overloaded servers, and gateways in front of broken ones, send. A plain 500 is most often about the request; an
// answer that is too large, a 404 or a 501 comes from an endpoint that works. A client that allows a slow endpoint too
// little time says nothing about it.
func verdictOf(response *domain.Response, err error) verdict {
	if err == nil {
		switch response.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return unhealthy
		default:
			return healthy
		}
	}
	var failure *domain.Failure
	switch {
	case errors.Is(err, ports.ErrHasty):
		return unknown
	case !errors.As(err, &failure):
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
