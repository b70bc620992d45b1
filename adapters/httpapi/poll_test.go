package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	statusURL   = "/api/v1/status/" + string(testID)
	responseURL = "/api/v1/response/" + string(testID)
)

var pendingRecord = domain.Record{
	ID: testID, Endpoint: "orders", Status: domain.Pending,
	SubmittedAt: testNow, UpdatedAt: testNow.Add(time.Second), Attempts: 2,
}

// found answers every read with the record.
func found(record domain.Record) *fakes {
	return reading(func(context.Context, domain.ID, time.Duration) (domain.Record, error) { return record, nil })
}

func requireRecordFields(t *testing.T, a answer, status domain.Status) {
	t.Helper()
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, string(testID), a.Header.Get("X-Correlation-ID"))
	require.Equal(t, string(status), a.Header.Get("X-OpenHQM-Status"))
	require.True(t, json.Valid([]byte(a.body)), a.body)
}

func TestResponseThatIsNotFinal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status domain.Status
		next   time.Duration // 0: not known
		want   string
	}{
		{domain.Pending, 0, "1"},
		{domain.Processing, 0, "1"},
		{domain.Pending, -time.Hour, "1"},
		{domain.Pending, time.Millisecond, "1"},
		{domain.Pending, 1001 * time.Millisecond, "2"},
		{domain.Pending, 30 * time.Second, "30"},
		{domain.Pending, time.Hour, "60"},
	} {
		record := pendingRecord
		record.Status = tt.status
		if tt.next != 0 {
			record.NextAttemptAt = testNow.Add(tt.next)
		}
		r := start(t, found(record))
		a := r.do("GET", responseURL, "")
		require.Equal(t, http.StatusAccepted, a.StatusCode)
		require.Equal(t, fmt.Sprintf(`{"correlation_id":"%s","status":"%s"}`, testID, tt.status), a.body)
		require.Equal(t, tt.want, a.Header.Get("Retry-After"))
		requireRecordFields(t, a, tt.status)
	}
}

func TestWaitIsHandedOn(t *testing.T) {
	t.Parallel()
	waits := make(chan time.Duration, 1)
	r := start(t, reading(func(_ context.Context, _ domain.ID, wait time.Duration) (domain.Record, error) {
		waits <- wait
		return pendingRecord, nil
	}))
	for give, want := range map[string]time.Duration{
		"": 0, "?": 0, "?wait=0s": 0, "?wait=20s": 20 * time.Second, "?wait=20": 20 * time.Second, "?wait=1m": longestHold,
		"?wait=1500ms&x=y": 1500 * time.Millisecond,
	} {
		require.Equal(t, http.StatusAccepted, r.do("GET", responseURL+give, "").StatusCode, give)
		require.Equal(t, want, <-waits, give)
	}
	for _, give := range []string{"?wait=", "?wait=61", "?wait=61s", "?wait=-1s", "?wait=soon"} {
		p := requireProblem(t, r.do("GET", responseURL+give, ""), http.StatusBadRequest, "VALIDATION_ERROR")
		require.Equal(t, "wait", p["field"])
	}
	p := requireProblem(t, r.do("GET", responseURL+"?wait=%zz", ""), http.StatusBadRequest, "VALIDATION_ERROR")
	require.Equal(t, "query", p["field"])
	require.Empty(t, waits)
}

func TestDrainAnswersWaitersAtOnce(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"with the record": nil, "with an error": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waiting := make(chan struct{}, 1)
			r := start(t, reading(func(
				ctx context.Context, _ domain.ID, wait time.Duration,
			) (domain.Record, error) {
				if wait == 0 {
					return pendingRecord, nil
				}
				waiting <- struct{}{}
				<-ctx.Done()
				if err != nil {
					return domain.Record{}, fmt.Errorf("wait: %w", err)
				}
				return pendingRecord, nil
			}))
			go func() {
				<-waiting
				r.server.Drain()
			}()
			for range 2 { // one that waits already, and one that comes during the drain
				a := r.do("GET", responseURL+"?wait=60s", "")
				require.Equal(t, http.StatusAccepted, a.StatusCode, a.body)
				requireRecordFields(t, a, domain.Pending)
			}
		})
	}
}

func TestShutdownAnswersWaitersToo(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{})
	r := start(t, reading(func(ctx context.Context, _ domain.ID, _ time.Duration) (domain.Record, error) {
		close(waiting)
		<-ctx.Done()
		return pendingRecord, nil
	}))
	down := make(chan error, 1)
	go func() {
		<-waiting
		down <- r.server.Shutdown(context.Background())
	}()
	require.Equal(t, http.StatusAccepted, r.do("GET", responseURL+"?wait=60s", "").StatusCode)
	require.NoError(t, <-down)
}

func TestErrorOfAWaitIsAnError(t *testing.T) {
	t.Parallel()
	r := start(t, reading(func(_ context.Context, _ domain.ID, wait time.Duration) (domain.Record, error) {
		require.NotZero(t, wait, "it is not asked again")
		return domain.Record{}, ports.ErrUnavailable
	}))
	requireProblem(t, r.do("GET", responseURL+"?wait=1s", ""), http.StatusServiceUnavailable, "QUEUE_UNAVAILABLE")
}

func TestCancelAnswersWithTheStatus(t *testing.T) {
	t.Parallel()
	record := pendingRecord
	record.Status = domain.Cancelled
	r := start(t, &fakes{cancel: func(_ context.Context, id domain.ID) (domain.Record, error) {
		require.Equal(t, testID, id)
		return record, nil
	}})
	for range 2 {
		a := r.do("DELETE", statusURL, "")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, string(statusDocument(&record)), a.body)
		requireRecordFields(t, a, domain.Cancelled)
	}
}

func TestCancelThatComesTooLateIsAConflict(t *testing.T) {
	t.Parallel()
	for _, status := range []domain.Status{domain.Processing, domain.Completed} {
		record := pendingRecord
		record.Status = status
		r := start(t, &fakes{cancel: func(context.Context, domain.ID) (domain.Record, error) {
			return record, fmt.Errorf("cancel: %w", ports.ErrConflict)
		}})
		a := r.do("DELETE", statusURL, "")
		p := requireProblem(t, a, http.StatusConflict, "CONFLICT")
		require.Equal(t, string(testID), p["correlation_id"])
		require.Equal(t, string(status), a.Header.Get("X-OpenHQM-Status"))
	}
}

func TestUnknownAndImpossibleIDsAreNotFound(t *testing.T) {
	t.Parallel()
	asked := errors.New("asked")
	r := start(t, &fakes{
		state:  func(context.Context, domain.ID) (domain.Record, error) { return domain.Record{}, asked },
		find:   func(context.Context, domain.ID) (domain.Record, error) { return domain.Record{}, asked },
		cancel: func(context.Context, domain.ID) (domain.Record, error) { return domain.Record{}, asked },
	})
	for _, id := range []string{"a%20b", "a%00b", "%C3%A4", "a:b", "..%5Cx", strings.Repeat("a", 129)} {
		for _, call := range [][2]string{{"GET", "status"}, {"DELETE", "status"}, {"GET", "response"}} {
			a := r.do(call[0], "/api/v1/"+call[1]+"/"+id, "")
			p := requireProblem(t, a, http.StatusNotFound, "NOT_FOUND")
			require.NotContains(t, p, "correlation_id", "it is not one")
			require.Empty(t, a.Header.Get("X-Correlation-ID"))
		}
	}
	none := start(t, &fakes{})
	for _, call := range [][2]string{{"GET", statusURL}, {"DELETE", statusURL}, {"GET", responseURL}} {
		a := none.do(call[0], call[1], "")
		p := requireProblem(t, a, http.StatusNotFound, "NOT_FOUND")
		require.Equal(t, string(testID), p["correlation_id"])
		require.Equal(t, string(testID), a.Header.Get("X-Correlation-ID"))
	}
}
