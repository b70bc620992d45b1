package domain_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// retryStatuses are those of retry.on_status by default.
func retryStatuses() []int {
	return []int{
		http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
}

// policy is the default one.
func policy() domain.RetryPolicy {
	return domain.RetryPolicy{
		MaxAttempts: 4, Base: time.Second, Max: time.Minute, Jitter: 0.2, OnStatus: retryStatuses(),
	}
}

// first is the first attempt of a request, ended at noon with an hour left. Its random number asks for no jitter.
func first() domain.Attempt {
	return domain.Attempt{
		Started: noon.Add(-250 * time.Millisecond), Ended: noon, Deadline: noon.Add(time.Hour), Random: 0.5,
	}
}

func answeredWith(status int) domain.Attempt {
	a := first()
	a.Response = &domain.Response{StatusCode: status, Header: domain.Header{}}
	return a
}

func failedWith(kind domain.FailureKind) domain.Attempt {
	a := first()
	a.Failure = &domain.Failure{Kind: kind, Err: errors.New("some cause")}
	return a
}

// TestDecideEveryStatus walks every status there may be.
func TestDecideEveryStatus(t *testing.T) {
	t.Parallel()
	retried := map[int]bool{408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true}
	p := policy()
	for status := 100; status <= 599; status++ {
		a := answeredWith(status)
		want := domain.Outcome{
			Status: domain.Completed, Attempts: 1, Response: a.Response, At: noon, ProcessingTime: 250 * time.Millisecond,
		}
		got := p.Decide(a)
		if retried[status] {
			require.NotEmpty(t, got.Error)
			want.Status, want.NextAttemptAt, want.Error = domain.Pending, noon.Add(time.Second), got.Error
		}
		require.Equal(t, want, got, "status %d", status)
	}
}

func TestDecideStatusesAreThoseOfThePolicy(t *testing.T) {
	t.Parallel()
	p := policy()
	p.OnStatus = []int{404, 599}
	tests := []struct {
		give      int
		want      domain.Status
		wantError string
	}{
		{404, domain.Pending, "the backend answered 404 Not Found"},
		{599, domain.Pending, "the backend answered 599"},
		{503, domain.Completed, ""},
		{200, domain.Completed, ""},
	}
	for _, tt := range tests {
		got := p.Decide(answeredWith(tt.give))
		require.Equal(t, tt.want, got.Status, "status %d", tt.give)
		require.Equal(t, tt.wantError, got.Error)
	}
}

// Where the end of an attempt lies.
type moment string

const (
	roomy moment = "with time for another attempt"
	tight moment = "before the deadline, which comes before another attempt"
	late  moment = "at the deadline"
	over  moment = "after the deadline"
)

func (m moment) deadline() time.Time {
	return noon.Add(map[moment]time.Duration{
		roomy: time.Hour, tight: 500 * time.Millisecond, late: 0, over: -time.Millisecond,
	}[m])
}

// verdict is what a decision comes to.
type verdict struct {
	Status domain.Status
	Reason domain.Reason
	Next   time.Duration // from noon, with PENDING alone
}

func verdictOn(out domain.Outcome) verdict {
	v := verdict{Status: out.Status, Reason: out.Reason}
	if !out.NextAttemptAt.IsZero() {
		v.Next = out.NextAttemptAt.Sub(out.At)
	}
	return v
}

func retryIn(next time.Duration) verdict { return verdict{Status: domain.Pending, Next: next} }

var (
	exhausted   = verdict{Status: domain.Failed, Reason: domain.ReasonAttempts}
	pastAnswer  = verdict{Status: domain.Failed, Reason: domain.ReasonDeadline}
	timedOut    = verdict{Status: domain.TimedOut, Reason: domain.ReasonDeadline}
	rejected    = verdict{Status: domain.Failed, Reason: domain.ReasonRejected}
	tooLarge    = verdict{Status: domain.Failed, Reason: domain.ReasonTooLarge}
	transient   = []domain.FailureKind{domain.FailureUnreachable, domain.FailureTimeout, domain.FailureBroken}
	interrupted = []domain.FailureKind{domain.FailureInterrupted}
)

// TestDecideEveryFailure is the whole table: kind of failure, attempts left or not, time left or not, answered before
// or not.
func TestDecideEveryFailure(t *testing.T) {
	t.Parallel()
	const left, last = 1, 3 // attempts charged before, of four
	tests := []struct {
		kinds          []domain.FailureKind
		charged        int
		when           moment
		wantUnanswered verdict
		wantAnswered   verdict
	}{
		{transient, left, roomy, retryIn(2 * time.Second), retryIn(2 * time.Second)},
		{transient, left, tight, pastAnswer, pastAnswer},
		{transient, left, late, timedOut, pastAnswer},
		{transient, left, over, timedOut, pastAnswer},
		{transient, last, roomy, exhausted, exhausted},
		{transient, last, tight, exhausted, exhausted},
		{transient, last, late, timedOut, exhausted},
		{transient, last, over, timedOut, exhausted},

		{interrupted, left, roomy, retryIn(0), retryIn(0)},
		{interrupted, left, tight, retryIn(0), retryIn(0)},
		{interrupted, left, late, timedOut, pastAnswer},
		{interrupted, left, over, timedOut, pastAnswer},
		{interrupted, last, roomy, exhausted, exhausted},
		{interrupted, last, tight, exhausted, exhausted},
		{interrupted, last, late, timedOut, exhausted},
		{interrupted, last, over, timedOut, exhausted},

		{[]domain.FailureKind{domain.FailureTooLarge}, left, roomy, tooLarge, tooLarge},
		{[]domain.FailureKind{domain.FailureTooLarge}, left, tight, tooLarge, tooLarge},
		{[]domain.FailureKind{domain.FailureTooLarge}, left, late, tooLarge, tooLarge},
		{[]domain.FailureKind{domain.FailureTooLarge}, left, over, tooLarge, tooLarge},
		{[]domain.FailureKind{domain.FailureTooLarge}, last, roomy, tooLarge, tooLarge},
		{[]domain.FailureKind{domain.FailureTooLarge}, last, tight, tooLarge, tooLarge},
		{[]domain.FailureKind{domain.FailureTooLarge}, last, late, tooLarge, tooLarge},
		{[]domain.FailureKind{domain.FailureTooLarge}, last, over, tooLarge, tooLarge},

		{[]domain.FailureKind{domain.FailureUnsendable}, left, roomy, rejected, rejected},
		{[]domain.FailureKind{domain.FailureUnsendable}, left, tight, rejected, rejected},
		{[]domain.FailureKind{domain.FailureUnsendable}, left, late, rejected, rejected},
		{[]domain.FailureKind{domain.FailureUnsendable}, left, over, rejected, rejected},
		{[]domain.FailureKind{domain.FailureUnsendable}, last, roomy, rejected, rejected},
		{[]domain.FailureKind{domain.FailureUnsendable}, last, tight, rejected, rejected},
		{[]domain.FailureKind{domain.FailureUnsendable}, last, late, rejected, rejected},
		{[]domain.FailureKind{domain.FailureUnsendable}, last, over, rejected, rejected},
	}
	p := policy()
	for _, tt := range tests {
		for _, kind := range tt.kinds {
			for answered, want := range map[bool]verdict{false: tt.wantUnanswered, true: tt.wantAnswered} {
				a := failedWith(kind)
				a.Charged, a.Deadline, a.Answered = tt.charged, tt.when.deadline(), answered
				out := p.Decide(a)
				require.Equal(t, want, verdictOn(out), "%s, %d charged, %s, answered: %t", kind, tt.charged, tt.when, answered)
				require.Equal(t, tt.charged+1, out.Attempts, kind)
				require.Nil(t, out.Response, "nil keeps an earlier response")
				require.Contains(t, out.Error, string(kind)+": some cause")
			}
		}
	}
}

// TestDecideRetryableResponse holds that an answer, kept, is never a TIMEOUT.
func TestDecideRetryableResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		charged int
		when    moment
		want    verdict
	}{
		{0, roomy, retryIn(time.Second)},
		{0, tight, pastAnswer},
		{0, late, pastAnswer},
		{0, over, pastAnswer},
		{3, roomy, exhausted},
		{3, tight, exhausted},
		{3, late, exhausted},
		{3, over, exhausted},
	}
	p := policy()
	for _, tt := range tests {
		a := answeredWith(http.StatusServiceUnavailable)
		a.Charged, a.Deadline = tt.charged, tt.when.deadline()
		out := p.Decide(a)
		require.Equal(t, tt.want, verdictOn(out), "%d charged, %s", tt.charged, tt.when)
		require.Equal(t, tt.charged+1, out.Attempts)
		require.Same(t, a.Response, out.Response)
		require.Contains(t, out.Error, "the backend answered 503 Service Unavailable")
	}
}

func TestDecideAnswerAfterTheDeadlineCounts(t *testing.T) {
	t.Parallel()
	p := policy()
	a := answeredWith(http.StatusOK)
	a.Charged, a.Deadline = 3, over.deadline()
	require.Equal(t, verdict{Status: domain.Completed}, verdictOn(p.Decide(a)))
}

func TestDecideLimitOfAttempts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		policy    int
		request   int
		charged   int
		wantFinal bool
	}{
		{"the policy's, not reached", 4, 0, 2, false},
		{"the policy's, reached", 4, 0, 3, true},
		{"the request's, smaller", 4, 1, 0, true},
		{"the request's, larger, not reached", 4, 10, 8, false},
		{"the request's, larger, reached", 4, 10, 9, true},
		{"lowered since the last attempt", 2, 0, 5, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy()
			p.MaxAttempts = tt.policy
			a := answeredWith(http.StatusBadGateway)
			a.MaxAttempts, a.Charged = tt.request, tt.charged
			out := p.Decide(a)
			require.Equal(t, tt.wantFinal, out.Status.Final())
			require.Equal(t, tt.charged+1, out.Attempts)
		})
	}
}

// TestDecideAShortageOfOursIsNobodysAttempt holds that not even the last attempt of a request is used up by it.
func TestDecideAShortageOfOursIsNobodysAttempt(t *testing.T) {
	t.Parallel()
	p := policy()
	a := failedWith(domain.FailureShortage)
	a.Charged, a.MaxAttempts = 2, 3
	want := domain.Outcome{
		Status: domain.Pending, Attempts: 2, NextAttemptAt: noon.Add(1500 * time.Millisecond), At: noon,
		ProcessingTime: 250 * time.Millisecond, Error: "shortage: some cause",
	}
	require.Equal(t, want, p.Decide(a))

	a.Deadline = noon.Add(time.Second)
	require.Equal(t, a.Deadline, p.Decide(a).NextAttemptAt, "then its deadline ends it")
	a.Deadline = noon
	require.Equal(t, domain.TimedOut, p.Decide(a).Status)
}
