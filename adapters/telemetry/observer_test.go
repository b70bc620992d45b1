package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// completed is an attempt of a request with something secret in every place that must not be logged.
func completed() ports.Attempted {
	return ports.Attempted{
		Request: &domain.Request{
			ID: "0190-a", Endpoint: "orders", Method: "POST", Path: "/secret-path", Query: "key=secret-query",
			Header: domain.Header{
				"Authorization": {"Bearer secret-token"}, "Cookie": {"secret-cookie"}, "X-Api-Key": {"secret-key"},
			},
			Body: []byte("secret-body"), Owner: "secret-owner", Labels: map[string]string{"secret-label": "x"},
			SubmittedAt: noon.Add(-3 * time.Second),
			Idempotency: &domain.Idempotency{Key: "secret-idempotency"},
		},
		Endpoint: "orders", Attempt: 2, Deliveries: 1, StatusCode: 201, Label: "answered",
		Outcome: domain.Outcome{
			Status: domain.Completed, Attempts: 2, At: noon, ProcessingTime: 12_345 * time.Microsecond,
			Response: &domain.Response{
				StatusCode: 201, Header: domain.Header{"Set-Cookie": {"secret-set-cookie"}}, Body: []byte("secret-answer"),
			},
		},
	}
}

func retried() ports.Attempted {
	a := completed()
	a.StatusCode = 0
	a.Label, a.Address = string(domain.FailureTimeout), "10.0.0.7:8080"
	a.Outcome = domain.Outcome{
		Status: domain.Pending, Attempts: 2, At: noon, ProcessingTime: 5 * time.Second,
		NextAttemptAt: noon.Add(1250 * time.Millisecond).In(time.FixedZone("", 3600)), Error: "timeout: no answer in 5s",
	}
	return a
}

func failed() ports.Attempted {
	a := completed()
	a.StatusCode = 503
	a.Outcome.Status = domain.Failed
	a.Outcome.Reason = domain.ReasonAttempts
	a.Outcome.Error = "the backend answered 503 Service Unavailable"
	return a
}

func handedBack() ports.Attempted {
	a := retried()
	a.Label, a.Address = ports.LabelUnknownEndpoint, ""
	return a
}

// logged returns what an attempt leaves in a log of the given level: "" or one line of JSON.
func logged(t *testing.T, a ports.Attempted, level slog.Level) string {
	t.Helper()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level}))
	telemetry.NewObserver(log, newMetrics("orders")).Attempted(t.Context(), a)
	return out.String()
}

func TestAttemptedLogsOneWideLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give ports.Attempted
		want string
	}{
		{"completed", completed(), `{
			"level": "INFO", "msg": "attempt", "correlation_id": "0190-a", "endpoint": "orders", "attempt": 2,
			"deliveries": 1, "outcome": "answered", "status": "COMPLETED", "status_code": 201,
			"processing_time_ms": 12.345}`},
		{"retried", retried(), `{
			"level": "WARN", "msg": "attempt", "correlation_id": "0190-a", "endpoint": "orders", "attempt": 2,
			"deliveries": 1, "outcome": "timeout", "status": "PENDING", "processing_time_ms": 5000,
			"backend": "10.0.0.7:8080",
			"next_attempt_at": "2026-03-04T12:00:01.250Z", "error": "timeout: no answer in 5s"}`},
		{"failed", failed(), `{
			"level": "WARN", "msg": "attempt", "correlation_id": "0190-a", "endpoint": "orders", "attempt": 2,
			"deliveries": 1, "outcome": "answered", "status": "FAILED", "status_code": 503,
			"processing_time_ms": 12.345, "reason": "attempts_exhausted",
			"error": "the backend answered 503 Service Unavailable"}`},
		{"handed back", handedBack(), `{
			"level": "WARN", "msg": "attempt", "correlation_id": "0190-a", "endpoint": "orders", "attempt": 2,
			"deliveries": 1, "outcome": "unknown_endpoint", "status": "PENDING", "processing_time_ms": 5000,
			"next_attempt_at": "2026-03-04T12:00:01.250Z", "error": "timeout: no answer in 5s"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			line := logged(t, tt.give, slog.LevelDebug)
			require.Equal(t, 1, strings.Count(line, "\n"))
			require.NotContains(t, line, "secret")

			var got map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &got))
			delete(got, "time")
			rest, err := json.Marshal(got)
			require.NoError(t, err)
			require.JSONEq(t, tt.want, string(rest))
		})
	}
}

func TestAttemptedLogsNothingBelowTheLevel(t *testing.T) {
	t.Parallel()
	require.Empty(t, logged(t, completed(), slog.LevelWarn))
}

func TestAttemptedLogsTheClientsCorrelationID(t *testing.T) {
	t.Parallel()
	const field = `"client_correlation_id":`
	long := strings.Repeat("a", 200)
	tests := []struct {
		name string
		give string
		want string
	}{
		{"as it is", "order-7", `"order-7"`},
		{"cut", long, `"` + long[:128] + `"`},
		{"without line breaks and escape sequences", "a\r\nb\x1b[31m", `"a??b?[31m"`},
		{"without bytes outside ASCII", "a\xffé", `"a??"`},
		{"not twice", "0190-a", ""},
		{"not when empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := completed()
			a.Request.Header.Set("X-Correlation-ID", tt.give)
			line := logged(t, a, slog.LevelInfo)
			if tt.want == "" {
				require.NotContains(t, line, field)
				return
			}
			require.Contains(t, line, field+tt.want)
		})
	}
}

func TestAttemptedCutsLongNamesAndErrors(t *testing.T) {
	t.Parallel()
	a := failed()
	a.Endpoint = ""
	a.Request.Endpoint = strings.Repeat("e", 1000)
	a.Outcome.Error = strings.Repeat("x", 10_000)

	line := logged(t, a, slog.LevelInfo)

	require.Contains(t, line, `"endpoint":"`+strings.Repeat("e", 128)+`"`)
	require.Contains(t, line, `"error":"`+strings.Repeat("x", 1024)+`"`)
}

func TestAttemptedCounts(t *testing.T) {
	t.Parallel()
	m := newMetrics("orders")
	observer := telemetry.NewObserver(slog.New(slog.DiscardHandler), m)
	stranger, odd, early := completed(), handedBack(), failed()
	stranger.Endpoint, stranger.Request.Endpoint = "", "who?"
	odd.Label = "something_new"
	early.Request.SubmittedAt = noon.Add(time.Hour)
	for _, a := range []ports.Attempted{completed(), retried(), failed(), handedBack(), stranger, odd, early} {
		observer.Attempted(t.Context(), a)
	}

	attempts := scrape(t, m, "openhqm_worker_attempts_total")
	for _, want := range []string{
		`{endpoint="orders",outcome="answered"} 3`,
		`{endpoint="orders",outcome="unknown_endpoint"} 1`,
		`{endpoint="orders",outcome="timeout"} 1`,
		`{endpoint="orders",outcome="something_new"} 1`,
		`{endpoint="unknown",outcome="answered"} 1`,
	} {
		require.Contains(t, attempts, "openhqm_worker_attempts_total"+want)
	}
	require.NotContains(t, strings.Join(attempts, "\n"), "who?")
	require.Equal(t, []string{ // neither the one handed back nor the one without a call
		`openhqm_worker_processing_duration_seconds_count{endpoint="orders"} 4`,
		`openhqm_worker_processing_duration_seconds_count{endpoint="unknown"} 1`,
	}, scrape(t, m, "openhqm_worker_processing_duration_seconds"))
	require.Contains(t, scrape(t, m, "openhqm_request_age_seconds"),
		`openhqm_request_age_seconds_count{status="FAILED"} 0`, "nothing has ended: it is not saved yet")
}

func TestEndedCounts(t *testing.T) {
	t.Parallel()
	m := newMetrics("orders")
	observer := telemetry.NewObserver(slog.New(slog.DiscardHandler), m)
	end := func(status domain.Status, reason domain.Reason, age time.Duration) {
		observer.Ended(domain.Record{
			Status: status, SubmittedAt: noon, UpdatedAt: noon.Add(age), Result: &domain.Result{Reason: reason},
		})
	}
	end(domain.Completed, "", 2*time.Second)
	end(domain.Completed, "", 4*time.Second)
	end(domain.Failed, domain.ReasonAttempts, 3*time.Second)
	end(domain.Failed, domain.ReasonAttempts, -time.Hour) // submitted by a clock ahead of ours
	end(domain.TimedOut, domain.ReasonDeadline, time.Second)
	observer.Ended(domain.Record{Status: domain.Cancelled, SubmittedAt: noon, UpdatedAt: noon})
	require.Equal(t, []string{
		`openhqm_request_age_seconds_sum{status="CANCELLED"} 0`,
		`openhqm_request_age_seconds_sum{status="COMPLETED"} 6`,
		`openhqm_request_age_seconds_sum{status="FAILED"} 3`,
		`openhqm_request_age_seconds_sum{status="TIMEOUT"} 1`,
	}, scrape(t, m, "openhqm_request_age_seconds_sum"))
	require.Equal(t, []string{
		`openhqm_request_age_seconds_count{status="CANCELLED"} 1`,
		`openhqm_request_age_seconds_count{status="COMPLETED"} 2`,
		`openhqm_request_age_seconds_count{status="FAILED"} 2`,
		`openhqm_request_age_seconds_count{status="TIMEOUT"} 1`,
	}, scrape(t, m, "openhqm_request_age_seconds_count"))
	dead := scrape(t, m, "openhqm_queue_dlq_total")
	require.Contains(t, dead, `openhqm_queue_dlq_total{reason="attempts_exhausted"} 2`)
	require.Contains(t, dead, `openhqm_queue_dlq_total{reason="deadline"} 1`)
}

func TestBreakersAreReadAtEveryScrape(t *testing.T) {
	t.Parallel()
	m := newMetrics("orders")
	m.WatchBreakers(func() map[string]int { return map[string]int{"orders": 2} })
	require.Equal(t, []string{`openhqm_breaker_state{endpoint="orders"} 2`}, scrape(t, m, "openhqm_breaker_state"))
}

func TestTheClockIsReadAtEveryScrape(t *testing.T) {
	t.Parallel()
	m := newMetrics("orders")
	m.WatchClock(func() time.Duration { return -1500 * time.Millisecond })
	require.Equal(t, []string{"openhqm_clock_skew_seconds -1.5"}, scrape(t, m, "openhqm_clock_skew_seconds"))
}

func TestNoticesAreCountedAtEveryScrape(t *testing.T) {
	t.Parallel()
	control := gomock.NewController(t)
	results, letters := mocks.NewMockOutbox(control), mocks.NewMockOutbox(control)
	m := newMetrics()
	m.WatchNotices(nil)
	require.Empty(t, scrape(t, m, "openhqm_notices_waiting"))
	m.WatchNotices(map[string]ports.Outbox{"results": results, "dead_letters": letters})
	results.EXPECT().Waiting(gomock.Any()).Return(int64(3), nil)
	letters.EXPECT().Waiting(gomock.Any()).Return(int64(0), nil)
	require.Equal(t, []string{
		`openhqm_notices_waiting{kind="dead_letters"} 0`, `openhqm_notices_waiting{kind="results"} 3`,
	}, scrape(t, m, "openhqm_notices_waiting"))

	results.EXPECT().Waiting(gomock.Any()).Return(int64(0), ports.ErrUnavailable).MaxTimes(1)
	letters.EXPECT().Waiting(gomock.Any()).Return(int64(0), ports.ErrUnavailable).MaxTimes(1)
	require.Empty(t, scrape(t, m, "openhqm_notices_waiting"))
}

func BenchmarkAttempted(b *testing.B) {
	for name, a := range map[string]ports.Attempted{"completed": completed(), "retried": retried()} {
		b.Run(name, func(b *testing.B) {
			var out bytes.Buffer
			log := slog.New(slog.NewJSONHandler(&out, nil))
			observer := telemetry.NewObserver(log, newMetrics("orders"))
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				observer.Attempted(b.Context(), a)
			}
		})
	}
}
