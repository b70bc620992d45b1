package application_test

import (
	"context"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// processOptions has a clock that stands still, in another zone.
func processOptions() application.ProcessOptions {
	retry := domain.RetryPolicy{
		MaxAttempts: 4, Base: time.Second, Max: time.Minute, Jitter: 0.2,
		OnStatus: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}
	return application.ProcessOptions{
		Endpoints: configure(ports.EndpointSet{ByName: map[string]domain.Endpoint{
			"orders":  {Name: "orders", Timeout: 30 * time.Second, Retry: retry},
			"reports": {Name: "reports", Timeout: 30 * time.Second, Retry: retry, Method: "GET"},
		}}),
		MaxDeliveries: 5,
		Now:           func() time.Time { return noon.In(time.FixedZone("", 3600)) },
		Random:        func() float64 { return 0.5 },
	}
}

// delivery is the first of a request that has an hour left.
func delivery() ports.Delivery {
	return ports.Delivery{
		Request:    domain.Request{ID: "id", Endpoint: "orders", Deadline: noon.Add(time.Hour)},
		Deliveries: 1, Token: "token", Lease: context.Background(),
	}
}

// process works a delivery off and returns what the observer got, which is exactly once. A nil call stands for a
// backend that must not be called.
func process(
	t *testing.T, opts application.ProcessOptions, d ports.Delivery,
	call func(context.Context, ports.Call) (*domain.Response, error),
) ports.Attempted {
	t.Helper()
	return processIn(t.Context(), t, opts, d, call)
}

func processIn(
	ctx context.Context, t *testing.T, opts application.ProcessOptions, d ports.Delivery,
	call func(context.Context, ports.Call) (*domain.Response, error),
) ports.Attempted {
	t.Helper()
	ctrl := gomock.NewController(t)
	backend, observer := mocks.NewMockBackend(ctrl), mocks.NewMockObserver(ctrl)
	if call != nil {
		backend.EXPECT().Do(gomock.Any(), gomock.Any()).DoAndReturn(call)
	}
	var seen ports.Attempted
	observer.EXPECT().Attempted(ctx, gomock.Any()).Do(func(_ context.Context, a ports.Attempted) { seen = a })

	opts.Endpoints = calledBy(opts.Endpoints, backend)
	out := application.NewProcess(opts, observer).Process(ctx, d, nil)
	require.Equal(t, out, seen.Outcome, "the observer hears of the outcome")
	require.Equal(t, d.Request.ID, seen.Request.ID)
	require.Equal(t, d.Deliveries, seen.Deliveries)
	seen.Request = nil
	return seen
}

// answer makes a backend that always answers so.
func answer(response *domain.Response) func(context.Context, ports.Call) (*domain.Response, error) {
	return func(context.Context, ports.Call) (*domain.Response, error) { return response, nil }
}

// fail makes a backend that never answers.
func fail(err error) func(context.Context, ports.Call) (*domain.Response, error) {
	return func(context.Context, ports.Call) (*domain.Response, error) { return nil, err }
}

func TestProcessCompletes(t *testing.T) {
	t.Parallel()
	d := delivery()
	d.Attempts, d.Deliveries = 1, 2
	response := &domain.Response{StatusCode: http.StatusNotFound, Body: []byte("none")}
	require.Equal(t, ports.Attempted{
		Endpoint: "orders", Attempt: 2, Deliveries: 2, StatusCode: 404, Label: "answered",
		Outcome: domain.Outcome{Status: domain.Completed, Attempts: 2, Response: response, At: noon},
	}, process(t, processOptions(), d, answer(response)))
}

// TestProcessWithoutACall has the deliveries that the backend never hears of. Nothing is charged.
func TestProcessWithoutACall(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give func(*ports.Delivery)
		want ports.Attempted
	}{
		{
			"past its deadline, never answered",
			func(d *ports.Delivery) { d.Request.Deadline = noon.Add(-time.Second) },
			ports.Attempted{Endpoint: "orders", Label: "deadline", Outcome: domain.Outcome{
				Status: domain.TimedOut, Reason: domain.ReasonDeadline, Error: "the deadline passed before the backend answered",
			}},
		},
		{
			"at its deadline",
			func(d *ports.Delivery) { d.Request.Deadline = noon },
			ports.Attempted{Endpoint: "orders", Label: "deadline", Outcome: domain.Outcome{
				Status: domain.TimedOut, Reason: domain.ReasonDeadline, Error: "the deadline passed before the backend answered",
			}},
		},
		{
			"past its deadline, answered before",
			func(d *ports.Delivery) { d.Request.Deadline, d.Answered, d.Attempts = noon, true, 2 },
			ports.Attempted{Endpoint: "orders", Attempt: 2, Label: "deadline", Outcome: domain.Outcome{
				Status: domain.Failed, Attempts: 2, Reason: domain.ReasonDeadline,
				Error: "the deadline passed before the next attempt",
			}},
		},
		{
			"delivered too often",
			func(d *ports.Delivery) { d.Deliveries, d.Attempts = 6, 1 },
			ports.Attempted{Endpoint: "orders", Attempt: 1, Label: "max_deliveries", Outcome: domain.Outcome{
				Status: domain.Failed, Attempts: 1, Reason: domain.ReasonMaxDeliveries,
				Error: "begun 5 times, the last 3 with nothing else running, but every worker crashed or lost it",
			}},
		},
		{
			"past its deadline and delivered too often",
			func(d *ports.Delivery) { d.Request.Deadline, d.Deliveries = noon, 6 },
			ports.Attempted{Endpoint: "orders", Label: "deadline", Outcome: domain.Outcome{
				Status: domain.TimedOut, Reason: domain.ReasonDeadline, Error: "the deadline passed before the backend answered",
			}},
		},
		{
			"after its attempts were used up elsewhere",
			func(d *ports.Delivery) { d.Attempts = 4 },
			ports.Attempted{Endpoint: "orders", Attempt: 4, Label: "attempts_exhausted", Outcome: domain.Outcome{
				Status: domain.Failed, Attempts: 4, Reason: domain.ReasonAttempts,
				Error: "no attempts left: 4 were charged before this delivery",
			}},
		},
		{
			"after more attempts than it asks for",
			func(d *ports.Delivery) { d.Attempts, d.Request.MaxAttempts = 3, 2 },
			ports.Attempted{Endpoint: "orders", Attempt: 3, Label: "attempts_exhausted", Outcome: domain.Outcome{
				Status: domain.Failed, Attempts: 3, Reason: domain.ReasonAttempts,
				Error: "no attempts left: 3 were charged before this delivery",
			}},
		},
		{
			"past its deadline and with its attempts used up",
			func(d *ports.Delivery) { d.Request.Deadline, d.Attempts = noon, 4 },
			ports.Attempted{Endpoint: "orders", Attempt: 4, Label: "deadline", Outcome: domain.Outcome{
				Status: domain.TimedOut, Attempts: 4, Reason: domain.ReasonDeadline,
				Error: "the deadline passed before the backend answered",
			}},
		},
		{
			"for an endpoint that is not known here",
			func(d *ports.Delivery) { d.Request.Endpoint, d.Attempts = "elsewhere", 3 },
			ports.Attempted{Attempt: 3, Label: "unknown_endpoint", Outcome: domain.Outcome{
				Status: domain.Pending, Attempts: 3, NextAttemptAt: noon.Add(10 * time.Second),
			}},
		},
		{
			"for an endpoint that is not known here, with less time left",
			func(d *ports.Delivery) { d.Request.Endpoint, d.Request.Deadline = "elsewhere", noon.Add(3*time.Second) },
			ports.Attempted{Label: "unknown_endpoint", Outcome: domain.Outcome{
				Status: domain.Pending, NextAttemptAt: noon.Add(3 * time.Second),
			}},
		},
		{
			"for an endpoint that is not known anywhere, in the end",
			func(d *ports.Delivery) { d.Request.Endpoint, d.Request.Deadline = "elsewhere", noon },
			ports.Attempted{Label: "deadline", Outcome: domain.Outcome{
				Status: domain.TimedOut, Reason: domain.ReasonDeadline, Error: "the deadline passed before the backend answered",
			}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := delivery()
			tt.give(&d)
			tt.want.Deliveries, tt.want.Outcome.At = d.Deliveries, noon
			require.Equal(t, tt.want, process(t, processOptions(), d, nil))
		})
	}
}

func TestProcessCallsUpToTheLastDelivery(t *testing.T) {
	t.Parallel()
	d := delivery()
	d.Deliveries = 5
	require.Equal(t, "answered", process(t, processOptions(), d, answer(&domain.Response{StatusCode: 200})).Label)
}

func TestProcessBlamesNoRequestThatHasNotRunAlone(t *testing.T) {
	t.Parallel()
	opts := processOptions()
	opts.MaxDeliveries = 1
	d := delivery()
	d.Deliveries = 3
	require.Equal(t, "answered", process(t, opts, d, answer(&domain.Response{StatusCode: 200})).Label)
	d.Deliveries = 4
	require.Equal(t, "max_deliveries", process(t, opts, d, nil).Label)
}

func TestProcessMakesTheAttemptsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	d := delivery()
	d.Attempts, d.Request.MaxAttempts = 4, 5
	require.Equal(t, "answered", process(t, processOptions(), d, answer(&domain.Response{StatusCode: 200})).Label)
}

func TestProcessFillsInTheCall(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		endpoint string
		method   string
		attempts int // that the request asks for
		want     string
		wantMay  bool // be repeated
	}{
		{"the request's method", "reports", "PUT", 0, "PUT", true},
		{"the endpoint's method", "reports", "", 3, "GET", true},
		{"POST", "orders", "", 0, "POST", true},
		{"the only attempt of a method that may be repeated", "orders", "DELETE", 1, "DELETE", true},
		{"the only attempt of another", "orders", "", 1, "POST", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := delivery()
			d.Request.MaxAttempts = tt.attempts
			d.Request.Endpoint, d.Request.Method, d.Request.Path, d.Request.Query = tt.endpoint, tt.method, "/42", "a=1"
			d.Request.Body = []byte("body")
			d.Request.Header = domain.Header{"X-One": {"a", "b"}}
			want := d.Request

			process(t, processOptions(), d, func(_ context.Context, call ports.Call) (*domain.Response, error) {
				require.Equal(t, ports.Call{Request: &want, Method: tt.want, Attempt: 1, Repeatable: tt.wantMay}, call)
				return &domain.Response{StatusCode: 200}, nil
			})
		})
	}
}

func TestHandBack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		left  time.Duration
		delay time.Duration
		want  time.Duration
	}{
		{"at once", time.Hour, 0, 0},
		{"later", time.Hour, time.Minute, time.Minute},
		{"not beyond the deadline", time.Minute, time.Hour, time.Minute},
		{"not beyond it, however long", time.Minute, math.MaxInt64, time.Minute},
		{"not in the past, at the deadline", 0, 10 * time.Second, 0},
		{"not in the past, after the deadline", -time.Minute, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := delivery()
			d.Attempts, d.Deliveries, d.Request.Deadline = 3, 2, noon.Add(tt.left)
			require.Equal(t, domain.Outcome{
				Status: domain.Pending, Attempts: 3, Deliveries: 1, NextAttemptAt: noon.Add(tt.want), At: noon,
			}, application.HandBack(d, noon, tt.delay))
		})
	}
}
