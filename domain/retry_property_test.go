package domain_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openhqm/openhqm/domain"
)

// TestDecideAlways holds what is true of every decision, whatever the policy and the attempt.
func TestDecideAlways(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, a := anyPolicy(t), anyAttempt(t)
		out := p.Decide(a)
		if again := p.Decide(a); again != out {
			t.Fatalf("the same attempt gave %+v and %+v", out, again)
		}
		checkCharge(t, a, out)
		checkMoment(t, a, out)
		checkEnd(t, p, a, out)
		if out.Response != a.Response || !out.At.Equal(a.Ended) || out.ProcessingTime != a.Ended.Sub(a.Started) {
			t.Fatalf("the attempt is not told as it was: %+v", out)
		}
	})
}

func checkCharge(t *rapid.T, a domain.Attempt, out domain.Outcome) {
	want := 1
	if a.Failure != nil && !a.Failure.Kind.Charged() {
		want = 0
	}
	if charged := out.Attempts - a.Charged; charged != want {
		t.Fatalf("%d attempts charged", charged)
	}
}

func checkMoment(t *rapid.T, a domain.Attempt, out domain.Outcome) {
	switch next := out.NextAttemptAt; {
	case out.Status.Final() && !next.IsZero():
		t.Fatalf("%s, and yet a next attempt at %s", out.Status, next)
	case out.Status.Final():
	case next.Before(a.Ended):
		t.Fatalf("next attempt %s before the end of this one", a.Ended.Sub(next))
	case next.After(a.Deadline):
		t.Fatalf("next attempt %s after the deadline", next.Sub(a.Deadline))
	}
}

func checkEnd(t *rapid.T, p domain.RetryPolicy, a domain.Attempt, out domain.Outcome) {
	if !domain.Processing.CanBecome(out.Status) || out.Status == domain.Processing {
		t.Fatalf("an attempt cannot end as %s", out.Status)
	}
	if out.Status.DeadLettered() != (out.Reason != "") {
		t.Fatalf("%s for the reason %q", out.Status, out.Reason)
	}
	if (out.Status == domain.Completed) != (out.Error == "") {
		t.Fatalf("%s with the error %q", out.Status, out.Error)
	}
	final := a.Response != nil && !slices.Contains(p.OnStatus, a.Response.StatusCode)
	if final != (out.Status == domain.Completed) {
		t.Fatalf("%s after %+v", out.Status, a.Response)
	}
	if out.Status == domain.TimedOut && (a.Response != nil || a.Answered || a.Ended.Before(a.Deadline)) {
		t.Fatal("TIMEOUT, but there was an answer, or time")
	}
}

func anyPolicy(t *rapid.T) domain.RetryPolicy {
	return domain.RetryPolicy{
		MaxAttempts: rapid.IntRange(1, 10).Draw(t, "policy's attempts"),
		Base:        time.Duration(rapid.Int64Min(0).Draw(t, "base")),
		Max:         time.Duration(rapid.Int64Min(0).Draw(t, "max")),
		Jitter:      rapid.Float64Range(0, 1).Draw(t, "jitter"),
		OnStatus:    retryStatuses(),
	}
}

func anyAttempt(t *rapid.T) domain.Attempt {
	a := domain.Attempt{
		Charged:     rapid.IntRange(0, 5000).Draw(t, "charged"),
		MaxAttempts: rapid.IntRange(0, 6000).Draw(t, "request's attempts"),
		Answered:    rapid.Bool().Draw(t, "answered"),
		Started:     noon.Add(-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "took"))),
		Ended:       noon,
		Deadline:    noon.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(100*time.Hour)).Draw(t, "left"))),
		Random:      rapid.Float64Range(0, 1).Filter(func(r float64) bool { return r < 1 }).Draw(t, "random"),
	}
	if rapid.Bool().Draw(t, "responded") {
		a.Response = &domain.Response{StatusCode: anyStatus().Draw(t, "status"), Header: domain.Header{}}
		a.Response.Header.Set("Retry-After", anyRetryAfter().Draw(t, "Retry-After"))
		return a
	}
	a.Failure = &domain.Failure{
		Kind: rapid.SampledFrom([]domain.FailureKind{
			domain.FailureUnreachable, domain.FailureTimeout, domain.FailureBroken, domain.FailureTooLarge,
			domain.FailureUnsendable, domain.FailureInterrupted, domain.FailureShortage,
		}).Draw(t, "kind"),
		Err: errors.New("some cause"),
	}
	return a
}

// anyStatus returns one to retry as often as any other.
func anyStatus() *rapid.Generator[int] {
	return rapid.OneOf(rapid.IntRange(100, 599), rapid.SampledFrom(retryStatuses()))
}

func anyRetryAfter() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Just(""),
		rapid.Map(rapid.Int64(), func(seconds int64) string { return strconv.FormatInt(seconds, 10) }),
		rapid.Map(rapid.Int64Range(-1e6, 1e6), func(seconds int64) string {
			return noon.Add(time.Duration(seconds) * time.Second).Format("Mon, 02 Jan 2006 15:04:05 GMT")
		}),
		rapid.String(),
	)
}
