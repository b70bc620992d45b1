package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// noon is the time in all tests of this package.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func newMetrics(endpoints ...string) *telemetry.Metrics {
	return telemetry.NewMetrics(telemetry.Options{
		Version: "v1.2.3", Endpoints: endpoints, Logger: slog.New(slog.DiscardHandler),
	})
}

// scrape returns the sample lines of one metric, by its full name. Of a histogram only the count: the rest is
// arithmetic of the client library.
func scrape(t *testing.T, m *telemetry.Metrics, metric string) []string {
	t.Helper()
	response := httptest.NewRecorder()
	m.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	require.Equal(t, http.StatusOK, response.Code, response.Body.String())

	sample := regexp.MustCompile(`^` + metric + `(_count)?[{ ]`)
	return slices.DeleteFunc(strings.Split(response.Body.String(), "\n"), func(line string) bool {
		return !sample.MatchString(line)
	})
}

func TestRequestedCountsByBoundedLabels(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	for range 3 {
		m.Requested("GET", "/api/v1/status/{id}", 200, 1500*time.Millisecond)
	}
	m.Requested("POST", "/api/v1/submit", 202, time.Millisecond)
	m.Requested("BREW", "", 404, time.Millisecond)
	m.Requested("get", "", 404, time.Millisecond)

	require.Equal(t, []string{
		`openhqm_api_requests_total{code="200",method="GET",route="/api/v1/status/{id}"} 3`,
		`openhqm_api_requests_total{code="202",method="POST",route="/api/v1/submit"} 1`,
		`openhqm_api_requests_total{code="404",method="other",route="other"} 2`,
	}, scrape(t, m, "openhqm_api_requests_total"))
	require.Equal(t, []string{
		`openhqm_api_request_duration_seconds_count{route="/api/v1/status/{id}"} 3`,
		`openhqm_api_request_duration_seconds_count{route="/api/v1/submit"} 1`,
		`openhqm_api_request_duration_seconds_count{route="other"} 2`,
	}, scrape(t, m, "openhqm_api_request_duration_seconds"))
	require.Equal(t, []string{
		`openhqm_api_request_duration_seconds_sum{route="/api/v1/status/{id}"} 4.5`,
	}, scrape(t, m, "openhqm_api_request_duration_seconds_sum")[:1])
}

func TestSubmittedCountsResults(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	observer := telemetry.NewObserver(slog.New(slog.DiscardHandler), m)
	for _, err := range []error{
		nil, nil,
		fmt.Errorf("append: %w", ports.ErrFull),
		fmt.Errorf("append: %w", ports.ErrStorageLow),
		fmt.Errorf("append: %w", ports.ErrUnavailable),
		fmt.Errorf("append: %w", ports.ErrClosed),
		ports.ErrMismatch,
		errors.New("something else"),
	} {
		observer.Submitted(t.Context(), err)
	}
	require.Equal(t, []string{
		`openhqm_queue_publish_total{result="accepted"} 2`,
		`openhqm_queue_publish_total{result="closed"} 1`,
		`openhqm_queue_publish_total{result="error"} 1`,
		`openhqm_queue_publish_total{result="full"} 1`,
		`openhqm_queue_publish_total{result="mismatch"} 1`,
		`openhqm_queue_publish_total{result="storage_low"} 1`,
		`openhqm_queue_publish_total{result="unavailable"} 1`,
	}, scrape(t, m, "openhqm_queue_publish_total"))
}

func TestKnownSeriesBeginAtZero(t *testing.T) {
	t.Parallel()
	m := newMetrics("orders")
	for metric, want := range map[string][]string{
		"openhqm_queue_dlq_total": {
			`openhqm_queue_dlq_total{reason="attempts_exhausted"} 0`,
			`openhqm_queue_dlq_total{reason="deadline"} 0`,
			`openhqm_queue_dlq_total{reason="max_deliveries"} 0`,
			`openhqm_queue_dlq_total{reason="rejected"} 0`,
			`openhqm_queue_dlq_total{reason="response_too_large"} 0`,
			`openhqm_queue_dlq_total{reason="undecodable"} 0`,
		},
		"openhqm_request_age_seconds": {
			`openhqm_request_age_seconds_count{status="CANCELLED"} 0`,
			`openhqm_request_age_seconds_count{status="COMPLETED"} 0`,
			`openhqm_request_age_seconds_count{status="FAILED"} 0`,
			`openhqm_request_age_seconds_count{status="TIMEOUT"} 0`,
		},
		"openhqm_worker_in_flight": {
			`openhqm_worker_in_flight{endpoint="orders"} 0`,
			`openhqm_worker_in_flight{endpoint="unknown"} 0`,
		},
		"openhqm_worker_processing_duration_seconds": {
			`openhqm_worker_processing_duration_seconds_count{endpoint="orders"} 0`,
			`openhqm_worker_processing_duration_seconds_count{endpoint="unknown"} 0`,
		},
	} {
		require.Equal(t, want, scrape(t, m, metric))
	}
	attempts := scrape(t, m, "openhqm_worker_attempts_total")
	require.Contains(t, attempts, `openhqm_worker_attempts_total{endpoint="orders",outcome="answered"} 0`)
	require.Contains(t, attempts, `openhqm_worker_attempts_total{endpoint="unknown",outcome="unknown_endpoint"} 0`)
}

func TestBuildInfoAndRuntimeMetricsAreThere(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	require.Regexp(t, `^\[openhqm_build_info{go_version="go1[^"]+",version="v1\.2\.3"} 1]$`,
		scrape(t, m, "openhqm_build_info"))
	require.Len(t, scrape(t, m, "go_goroutines"), 1)
	require.Len(t, scrape(t, m, "process_start_time_seconds"), 1)
}

type gauge struct {
	depths      ports.Depths
	err         error
	hasDeadline bool
}

func (g *gauge) Depths(ctx context.Context) (ports.Depths, error) {
	_, g.hasDeadline = ctx.Deadline()
	return g.depths, g.err
}

func TestQueueDepthIsReadAtEveryScrape(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	queue := &gauge{}
	m.WatchQueue(queue, func() time.Time { return noon })
	require.Equal(t, []string{"openhqm_queue_oldest_age_seconds 0"}, scrape(t, m, "openhqm_queue_oldest_age_seconds"))
	require.True(t, queue.hasDeadline)

	require.Equal(t, []string{"openhqm_queue_depth_approximate 0"}, scrape(t, m, "openhqm_queue_depth_approximate"))

	queue.depths = ports.Depths{
		Ready: 3, Delayed: 2, Leased: 1, OldestReady: noon.Add(-90 * time.Second), Approximate: true,
	}
	require.Equal(t, []string{
		`openhqm_queue_depth{state="delayed"} 2`,
		`openhqm_queue_depth{state="leased"} 1`,
		`openhqm_queue_depth{state="ready"} 3`,
	}, scrape(t, m, "openhqm_queue_depth"))
	require.Equal(t, []string{"openhqm_queue_oldest_age_seconds 90"}, scrape(t, m, "openhqm_queue_oldest_age_seconds"))

	require.Equal(t, []string{"openhqm_queue_depth_approximate 1"}, scrape(t, m, "openhqm_queue_depth_approximate"))

	queue.depths.OldestReady = noon.Add(time.Second) // the broker's clock is ahead
	require.Equal(t, []string{"openhqm_queue_oldest_age_seconds 0"}, scrape(t, m, "openhqm_queue_oldest_age_seconds"))
}

func TestQueueThatIsAwayIsLeftOutAndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := telemetry.NewMetrics(telemetry.Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	m.WatchQueue(&gauge{err: ports.ErrUnavailable}, func() time.Time { return noon })

	require.Empty(t, scrape(t, m, "openhqm_queue_depth"))
	require.Contains(t, log.String(), ports.ErrUnavailable.Error())
	require.NotEmpty(t, scrape(t, m, "openhqm_queue_publish_total"), "the others are served")
}

// backend lets the test look while a call is under way.
type backend func(ports.Call) (*domain.Response, error)

func (b backend) Do(_ context.Context, call ports.Call) (*domain.Response, error) { return b(call) }

func TestBackendCountsCallsInFlight(t *testing.T) {
	t.Parallel()
	m := newMetrics("orders")
	response := &domain.Response{StatusCode: http.StatusTeapot}
	counted := m.Backend(backend(func(call ports.Call) (*domain.Response, error) {
		require.Equal(t, 2, call.Attempt)
		require.Equal(t, []string{
			`openhqm_worker_in_flight{endpoint="orders"} 1`,
			`openhqm_worker_in_flight{endpoint="unknown"} 0`,
		}, scrape(t, m, "openhqm_worker_in_flight"))
		return response, io.ErrUnexpectedEOF
	}))

	got, err := counted.Do(t.Context(), ports.Call{Request: &domain.Request{Endpoint: "orders"}, Attempt: 2})

	require.Same(t, response, got)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, `openhqm_worker_in_flight{endpoint="orders"} 0`, scrape(t, m, "openhqm_worker_in_flight")[0])
}
