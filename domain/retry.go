package domain

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RetryPolicy says whether and when an attempt is repeated.
type RetryPolicy struct {
	MaxAttempts int           // at least 1
	Base        time.Duration // delay before the second attempt
	Max         time.Duration // the longest delay of ours, before the jitter; a backend's Retry-After may be longer
	Jitter      float64       // 0.2 spreads a delay over +-20 %
	OnStatus    []int
}

// DefaultRetryStatuses are those that say "later": 408, 425, 429 and the 5xx a gateway or an overloaded server sends.
func DefaultRetryStatuses() []int {
	return []int{
		http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
}

// Attempt is one call of the backend, ended: either Response or Failure is set.
type Attempt struct {
	Response *Response
	Failure  *Failure

	Charged     int  // attempts charged before this one
	MaxAttempts int  // of the request; 0: the policy's
	Answered    bool // an earlier attempt got a response

	Deadline time.Time
	Started  time.Time
	Ended    time.Time
	Random   float64 // in [0, 1), for the jitter
}

// Decide judges an attempt. It is pure: the same attempt gives the same outcome.
func (p *RetryPolicy) Decide(a Attempt) Outcome {
	out := Outcome{
		Attempts:       a.Charged,
		Response:       a.Response,
		At:             a.Ended,
		ProcessingTime: a.Ended.Sub(a.Started),
	}
	if a.Failure == nil || a.Failure.Kind.Charged() {
		out.Attempts++
	}
	switch {
	case a.Failure == nil && !slices.Contains(p.OnStatus, a.Response.StatusCode):
		out.Status = Completed
	case a.Failure != nil && !a.Failure.Kind.Retryable():
		return out.end(Failed, permanentReason(a.Failure.Kind), a.cause())
	case out.Attempts >= p.Attempts(a.MaxAttempts) && (a.Failure == nil || a.Failure.Kind.Charged()):
		return p.lastAttempt(a, out)
	default:
		return p.again(a, out)
	}
	return out
}

// lastAttempt ends a request whose attempts are used up. One whose very last moment passed unanswered is a TIMEOUT.
func (p *RetryPolicy) lastAttempt(a Attempt, out Outcome) Outcome {
	if a.unanswered() && !a.Ended.Before(a.Deadline) {
		return out.end(TimedOut, ReasonDeadline, a.cause())
	}
	return out.end(Failed, ReasonAttempts, a.cause())
}

// again schedules the next attempt, or ends the request when that would come too late.
func (p *RetryPolicy) again(a Attempt, out Outcome) Outcome {
	at := a.Ended.Add(p.delay(a, out.Attempts))
	switch {
	case at.Before(a.Deadline):
		out.Status, out.NextAttemptAt, out.Error = Pending, at, a.cause()
		return out
	case a.refused() && a.Ended.Before(a.Deadline):
		// Nothing was charged: it may wait until its deadline, and ends there.
		out.Status, out.NextAttemptAt, out.Error = Pending, a.Deadline, a.cause()
		return out
	case a.unanswered() && !a.Ended.Before(a.Deadline):
		return out.end(TimedOut, ReasonDeadline, a.cause())
	default:
		return out.end(Failed, ReasonDeadline, "the next attempt would come after the deadline: "+a.cause())
	}
}

// delay is min(base * 2^(n-1), max) with jitter, and at least what the backend or a limit asked for. A call that our
// own shutdown cut off is due at once: the backend gave no reason to wait.
func (p *RetryPolicy) delay(a Attempt, attempts int) time.Duration {
	var atLeast time.Duration
	switch {
	case a.refused():
		return max(a.Failure.After, 0)
	case a.Failure == nil:
		atLeast = RetryAfter(a.Response.Header.Get("Retry-After"), a.Ended)
	case a.Failure.Kind == FailureInterrupted:
		return 0
	}
	return max(p.backoff(attempts, a.Random), atLeast)
}

// backoff computes in floating point and caps before it converts: doubling a Duration overflows at the 34th attempt.
func (p *RetryPolicy) backoff(attempts int, random float64) time.Duration {
	d := math.Min(math.Ldexp(float64(p.Base), attempts-1), float64(p.Max))
	d *= 1 + p.Jitter*(2*random-1)
	return time.Duration(math.Min(d, math.MaxInt64/2))
}

// Attempts returns how many attempts a request has that asks for so many; 0 asks for none in particular.
func (p *RetryPolicy) Attempts(requested int) int {
	if requested > 0 {
		return requested
	}
	return p.MaxAttempts
}

// end makes the outcome final.
func (o Outcome) end(status Status, reason Reason, text string) Outcome {
	o.Status, o.Reason, o.Error = status, reason, text
	return o
}

func (a *Attempt) unanswered() bool { return a.Response == nil && !a.Answered }

func (a *Attempt) refused() bool { return a.Failure != nil && a.Failure.Kind == FailureRefused }

// cause tells what went wrong, without anything of the body.
func (a *Attempt) cause() string {
	if a.Failure != nil {
		return a.Failure.Error()
	}
	text := fmt.Sprintf("the backend answered %d %s", a.Response.StatusCode, http.StatusText(a.Response.StatusCode))
	return strings.TrimSuffix(text, " ") // not every status has a name
}

func permanentReason(kind FailureKind) Reason {
	if kind == FailureTooLarge {
		return ReasonTooLarge
	}
	return ReasonRejected
}

// maxRetryAfter keeps a backend's absurd Retry-After from overflowing; every deadline is nearer.
const maxRetryAfter = 365 * 24 * time.Hour

// RetryAfter reads a Retry-After field: seconds or an HTTP date (RFC 9110 section 10.2.3). What is malformed, absent or
// past is zero.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
