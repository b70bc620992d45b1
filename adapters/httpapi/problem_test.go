package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestEveryErrorHasItsProblem(t *testing.T) {
	t.Parallel()
	const secret = "dial tcp 10.1.2.3:6379"
	for _, tt := range []struct {
		give       error
		status     int
		code       string
		field      string
		retryAfter string
	}{
		{&domain.Invalid{Field: "metadata.delay", Reason: "is beyond"}, 400, "VALIDATION_ERROR", "metadata.delay", ""},
		{ports.ErrForbidden, 403, "FORBIDDEN", "", ""},
		{ports.ErrUnknownEndpoint, 404, "UNKNOWN_ENDPOINT", "", ""},
		{ports.ErrNotFound, 404, "NOT_FOUND", "", ""},
		{ports.ErrConflict, 409, "CONFLICT", "", ""},
		{&http.MaxBytesError{Limit: 10}, 413, "PAYLOAD_TOO_LARGE", "", ""},
		{ports.ErrMismatch, 422, "IDEMPOTENCY_MISMATCH", "Idempotency-Key", ""},
		{ports.ErrFull, 503, "QUEUE_FULL", "", "5"},
		{ports.ErrStorageLow, 503, "STORAGE_LOW", "", "5"},
		{ports.ErrUnavailable, 503, "QUEUE_UNAVAILABLE", "", "5"},
		{ports.ErrClosed, 503, "QUEUE_UNAVAILABLE", "", "5"},
		{context.DeadlineExceeded, 503, "QUEUE_UNAVAILABLE", "", "5"},
		{context.Canceled, 503, "QUEUE_UNAVAILABLE", "", "5"},
		{ports.ErrLost, 500, "INTERNAL", "", ""},
		{errors.New("boom"), 500, "INTERNAL", "", ""},
	} {
		t.Run(tt.give.Error(), func(t *testing.T) {
			t.Parallel()
			r := start(t, &fakes{submit: func(context.Context, ports.Submission) (ports.Receipt, error) {
				return ports.Receipt{}, fmt.Errorf("%w: %s", tt.give, secret)
			}})
			a := r.do("POST", "/api/v1/submit", `{}`)
			p := requireProblem(t, a, tt.status, tt.code)
			require.Equal(t, tt.retryAfter, a.Header.Get("Retry-After"))
			require.Equal(t, observed{"POST", "/api/v1/submit", tt.status}, <-r.observed)
			if tt.field != "" {
				require.Equal(t, tt.field, p["field"])
			}
			if tt.give != ports.ErrUnknownEndpoint { //nolint:errorlint // the row, not a match
				require.NotContains(t, a.body, secret)
			}
			switch tt.status {
			case http.StatusInternalServerError:
				require.Equal(t, 1, strings.Count(r.log.String(), secret), "logged once")
				require.Contains(t, r.log.String(), "level=ERROR")
			case http.StatusForbidden:
				require.Contains(t, r.log.String(), "callers refused")
			default:
				require.Empty(t, r.log.String())
			}
		})
	}
}

func TestUnknownEndpointIsNamed(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{submit: func(_ context.Context, s ports.Submission) (ports.Receipt, error) {
		return ports.Receipt{}, fmt.Errorf("%w: %q", ports.ErrUnknownEndpoint, s.Endpoint)
	}})
	a := r.do("POST", "/api/v1/submit", `{"metadata":{"endpoint":"oders"}}`)
	require.Equal(t, `unknown endpoint: "oders"`, requireProblem(t, a, 404, "UNKNOWN_ENDPOINT")["detail"])
}

func TestProblemIsAlwaysAValidDocument(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 10_000)
	for _, text := range []string{"\xff\x00\"\\<&>\u2028", long, "x" + long} {
		r := start(t, &fakes{submit: func(context.Context, ports.Submission) (ports.Receipt, error) {
			return ports.Receipt{}, &domain.Invalid{Field: "metadata.endpoint", Reason: text}
		}})
		a := r.do("POST", "/api/v1/submit", `{}`)
		requireProblem(t, a, 400, "VALIDATION_ERROR")
		require.Less(t, len(a.body), 2000)
	}
}

func TestUnknownResourceIsAProblem(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	for _, path := range []string{
		"//", "/api", "/api/v1/submit/", "/api/v1/status/", "/api/v1/status", "/api/v1/response/a/b", "/API/v1/submit",
		"//health", "/health/", "/%2e%2e/health", "/api/v1/status/a%2Fb",
	} {
		requireProblem(t, r.do("GET", path, ""), http.StatusNotFound, "NOT_FOUND")
		require.Equal(t, observed{"GET", "other", 404}, <-r.observed, path)
	}
}

func TestUnknownMethodIsAProblemThatAllowsTheOthers(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	for _, tt := range []struct{ method, path, allow, label string }{
		{"GET", "/api/v1/submit", "POST", "GET"},
		{"PUT", "/api/v1/submit", "POST", "PUT"},
		{"BREW", "/api/v1/submit", "POST", "other"},
		{"OPTIONS", "/api/v1/status/x", "GET, HEAD, DELETE", "OPTIONS"},
		{"POST", "/api/v1/response/x", "GET, HEAD", "POST"},
		{"DELETE", "/health", "GET, HEAD", "DELETE"},
		{"TRACE", "/metrics", "GET, HEAD", "TRACE"},
	} {
		a := r.do(tt.method, tt.path, "")
		requireProblem(t, a, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
		require.Equal(t, tt.allow, a.Header.Get("Allow"), tt.path)
		require.Equal(t, observed{tt.label, "other", 405}, <-r.observed)
	}
}

func TestHeadIsGetWithoutContent(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	a := r.do("HEAD", "/api/v1/status/"+string(testID), "")
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	require.Equal(t, problemType, a.Header.Get("Content-Type"))
	require.Positive(t, a.ContentLength)
	require.Empty(t, a.body)
}

func TestPanicIsAnsweredLoggedAndSurvived(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{
		submit: func(context.Context, ports.Submission) (ports.Receipt, error) { panic("the inner text") },
		state: func(context.Context, domain.ID) (domain.Record, error) {
			return domain.Record{ID: testID, Status: domain.Pending}, nil
		},
	})
	a := r.do("POST", "/api/v1/submit", `{}`)
	requireProblem(t, a, http.StatusInternalServerError, "INTERNAL")
	require.NotContains(t, a.body, "inner text")
	require.Contains(t, r.log.String(), "the inner text")
	require.Contains(t, r.log.String(), "problem_test.go", "with its stack")
	require.Equal(t, observed{"POST", "/api/v1/submit", 500}, <-r.observed)
	require.Equal(t, http.StatusOK, r.do("GET", "/api/v1/status/"+string(testID), "").StatusCode)
}

func TestPanicInTheMiddleOfAnAnswerCutsItOff(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic("the inner text")
		})
	})
	reply := r.exchange("GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n")
	require.Contains(t, reply, "200 OK")
	require.NotContains(t, reply, "\r\n0\r\n", "the last chunk would make it look whole")
	require.Equal(t, 1, strings.Count(r.log.String(), "request failed with an internal error"))
	require.Contains(t, r.log.String(), "the inner text")
}

func TestClientThatLeftIsCountedAndNotAnswered(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	r := start(t, &fakes{submit: func(ctx context.Context, _ ports.Submission) (ports.Receipt, error) {
		close(begun)
		<-ctx.Done()
		return ports.Receipt{}, ctx.Err()
	}})
	conn, err := r.dial()
	require.NoError(t, err)
	_, err = conn.Write([]byte("POST /api/v1/submit HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}"))
	require.NoError(t, err)
	<-begun
	require.NoError(t, conn.Close())
	require.Equal(t, observed{"POST", "/api/v1/submit", 499}, <-r.observed)
	require.Empty(t, r.log.String())
}
