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

// RetryPolicy says whether and when an attempt is repeated. It is safe for concurrent use while nobody changes it.
type RetryPolicy struct {
	MaxAttempts int           // at least 1
	Base        time.Duration // delay before the second attempt
	Max         time.Duration // our longest delay, before jitter; a backend's Retry-After may be longer
	Jitter      float64       // a fraction: 0.2 spreads a delay by 20 % either way
	OnStatus    []int         // response statuses that are retried
}

// Attempt is one finished call of the backend. Either Response or Failure is set.
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

// Decide returns what becomes of a request after an attempt, which is charged unless its failure is not. It is pure:
// the same attempt has the same outcome.
func (p *RetryPolicy) Decide(a Attempt) Outcome {
	out := Outcome{
		Attempts:       a.Charged + 1,
		Response:       a.Response,
		At:             a.Ended,
		ProcessingTime: a.Ended.Sub(a.Started),
	}
	switch {
	case a.Failure != nil && !a.Failure.Kind.Charged():
		return uncharged(a, out)
	case a.Failure == nil && !slices.Contains(p.OnStatus, a.Response.StatusCode):
		out.Status = Completed
		return out
	case a.Failure != nil && !a.Failure.Kind.Retryable():
		return out.end(Failed, permanentReason(a.Failure.Kind), a.cause())
	case out.Attempts >= p.Attempts(a.MaxAttempts):
		return lastAttempt(a, out)
	default:
		return p.again(a, out)
	}
}

// unchargedPause is the shortest pause before an attempt that was not charged is made again; the longest is twice that.
const unchargedPause = time.Second

// uncharged returns the outcome of an attempt that does not count: it is made again after a pause, unless the deadline
// has passed. A deadline that comes earlier ends the request then.
func uncharged(a Attempt, out Outcome) Outcome {
	left := a.Deadline.Sub(a.Ended)
	if left <= 0 {
		past := PastDeadline(a.Charged, a.Answered, a.Ended)
		past.ProcessingTime = out.ProcessingTime
		return past
	}
	pause := time.Duration((1 + a.Random) * float64(unchargedPause))
	out.Status, out.Attempts, out.Error = Pending, a.Charged, a.cause()
	out.NextAttemptAt = a.Ended.Add(min(pause, left))
	return out
}

// lastAttempt ends a request that has no attempts left. Without any response, one that ran until its deadline is a
// TIMEOUT.
func lastAttempt(a Attempt, out Outcome) Outcome {
	if a.unanswered() && !a.Ended.Before(a.Deadline) {
		return out.end(TimedOut, ReasonDeadline, a.cause())
	}
	return out.end(Failed, ReasonAttempts, a.cause())
}

// again schedules the next attempt, or ends the request when that would come after its deadline.
func (p *RetryPolicy) again(a Attempt, out Outcome) Outcome {
	at := a.Ended.Add(p.delay(a, out.Attempts))
	switch {
	case at.Before(a.Deadline):
		out.Status, out.NextAttemptAt, out.Error = Pending, at, a.cause()
		return out
	case a.unanswered() && !a.Ended.Before(a.Deadline):
		return out.end(TimedOut, ReasonDeadline, a.cause())
	default:
		return out.end(Failed, ReasonDeadline, "the next attempt would come after the deadline: "+a.cause())
	}
}

// delay is min(base * 2^(n-1), max) with jitter, and at least what the backend asked for. A call that our own shutdown
// cut off is due at once, because the backend gave no reason to wait.
func (p *RetryPolicy) delay(a Attempt, attempts int) time.Duration {
	var atLeast time.Duration
	switch {
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

// cause says what went wrong, without any part of the body.
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

// maxRetryAfter keeps an absurd Retry-After from overflowing; every deadline is nearer.
const maxRetryAfter = 365 * 24 * time.Hour

// RetryAfter returns how long a Retry-After field asks to wait: seconds or an HTTP date (RFC 9110 section 10.2.3). It
// returns 0 when the field is malformed, absent or in the past.
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
