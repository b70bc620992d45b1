package application_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// TestProcessFollowsThePolicy holds that every fact that decides reaches the decision.
func TestProcessFollowsThePolicy(t *testing.T) {
	t.Parallel()
	busy := &domain.Response{StatusCode: http.StatusServiceUnavailable, Header: domain.Header{}}
	tests := []struct {
		name string
		give func(*ports.Delivery, *application.ProcessOptions)
		want domain.Outcome
	}{
		{
			"attempts left", func(d *ports.Delivery, _ *application.ProcessOptions) { d.Attempts = 2 },
			domain.Outcome{Status: domain.Pending, Attempts: 3, NextAttemptAt: noon.Add(4 * time.Second)},
		},
		{
			"no attempts left", func(d *ports.Delivery, _ *application.ProcessOptions) { d.Attempts = 3 },
			domain.Outcome{Status: domain.Failed, Attempts: 4, Reason: domain.ReasonAttempts},
		},
		{
			"no attempts left by its own limit",
			func(d *ports.Delivery, _ *application.ProcessOptions) { d.Request.MaxAttempts = 1 },
			domain.Outcome{Status: domain.Failed, Attempts: 1, Reason: domain.ReasonAttempts},
		},
		{
			"no time left",
			func(d *ports.Delivery, _ *application.ProcessOptions) { d.Request.Deadline = noon.Add(time.Second) },
			domain.Outcome{Status: domain.Failed, Attempts: 1, Reason: domain.ReasonDeadline},
		},
		{
			"jitter",
			func(_ *ports.Delivery, o *application.ProcessOptions) { o.Random = func() float64 { return 0 } },
			domain.Outcome{Status: domain.Pending, Attempts: 1, NextAttemptAt: noon.Add(800 * time.Millisecond)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, opts := delivery(), processOptions()
			tt.give(&d, &opts)
			got := process(t, opts, d, answer(busy)).Outcome
			require.Contains(t, got.Error, "503 Service Unavailable")
			tt.want.Response, tt.want.At, tt.want.Error = busy, noon, got.Error
			require.Equal(t, tt.want, got)
		})
	}
}

// TestProcessUsesTheFailureOfTheBackend has what a backend may answer besides a response.
func TestProcessUsesTheFailureOfTheBackend(t *testing.T) {
	t.Parallel()
	reset := &domain.Failure{Kind: domain.FailureBroken, Err: errors.New("connection reset")}
	tests := []struct {
		name        string
		give        error
		wantLabel   string
		wantAddress string
		want        domain.Outcome
	}{
		{
			"a failure",
			&domain.Failure{Kind: domain.FailureUnreachable, Err: errors.New("no route"), Address: "a:80"},
			"unreachable", "a:80",
			domain.Outcome{
				Status: domain.Pending, Attempts: 2, NextAttemptAt: noon.Add(2 * time.Second), Error: "unreachable: no route",
			},
		},
		{
			"a failure within another error", fmt.Errorf("decorated: %w", reset), "broken", "",
			domain.Outcome{
				Status: domain.Pending, Attempts: 2, NextAttemptAt: noon.Add(2 * time.Second),
				Error: "broken: connection reset",
			},
		},
		{
			"a failure that no retry mends",
			&domain.Failure{Kind: domain.FailureTooLarge, Err: errors.New("over 10 MiB")}, "response_too_large", "",
			domain.Outcome{
				Status: domain.Failed, Attempts: 2, Reason: domain.ReasonTooLarge, Error: "response_too_large: over 10 MiB",
			},
		},
		{
			"any other error", errors.New("boom"), "broken", "",
			domain.Outcome{
				Status: domain.Pending, Attempts: 2, NextAttemptAt: noon.Add(2 * time.Second), Error: "broken: boom",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := delivery()
			d.Attempts = 1
			tt.want.At = noon
			require.Equal(t, ports.Attempted{
				Endpoint: "orders", Attempt: 2, Deliveries: 1, Label: tt.wantLabel, Address: tt.wantAddress, Outcome: tt.want,
			}, process(t, processOptions(), d, fail(tt.give)))
		})
	}
}

// TestProcessBoundsTheAttempt uses a backend that never answers: an attempt has the endpoint's timeout, or what
// remains to the deadline.
func TestProcessBoundsTheAttempt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		left     time.Duration
		answered bool
		want     time.Duration
		out      domain.Status
	}{
		{"the endpoint's timeout", time.Hour, false, 30 * time.Second, domain.Pending},
		{"what remains to the deadline", 10 * time.Second, false, 10 * time.Second, domain.TimedOut},
		{"what remains, after an earlier answer", 10 * time.Second, true, 10 * time.Second, domain.Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, opts := delivery(), processOptions()
				opts.Now = time.Now
				d.Request.Deadline, d.Answered = time.Now().Add(tt.left), tt.answered
				got := process(t, opts, d, func(ctx context.Context, _ ports.Call) (*domain.Response, error) {
					<-ctx.Done()
					require.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
					return nil, &domain.Failure{Kind: domain.FailureTimeout, Err: ctx.Err()}
				}).Outcome
				require.Equal(t, tt.want, got.ProcessingTime)
				require.Equal(t, tt.out, got.Status)
				require.Equal(t, 1, got.Attempts)
			})
		})
	}
}

// TestADeadlineThatLeavesTheBackendLittleTimeIsToldApart has an endpoint whose attempts may take 30 seconds.
func TestADeadlineThatLeavesTheBackendLittleTimeIsToldApart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		left   time.Duration
		before time.Duration // until the call reserves memory; 0: it does not
		wait   time.Duration // for that
		hasty  bool
	}{
		{"a second", time.Second, 0, 0, true},
		{"less than half of the time", 15*time.Second - 1, 0, 0, true},
		{"half of the time", 15 * time.Second, 0, 0, false},
		{"enough", time.Hour, 0, 0, false},
		{"little, and more of it spent waiting for memory", 20 * time.Second, 5 * time.Second, 6 * time.Second, true},
		{"enough, and some spent waiting for memory", 20 * time.Second, time.Second, 5 * time.Second, false},
		{"it passes while the call waits for memory", 40 * time.Second, 25 * time.Second, time.Minute, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, opts := delivery(), processOptions()
				opts.Now = time.Now
				d.Request.Deadline = time.Now().Add(tt.left)
				ctrl := gomock.NewController(t)
				backend, observer := mocks.NewMockBackend(ctrl), mocks.NewMockObserver(ctrl)
				observer.EXPECT().Attempted(gomock.Any(), gomock.Any())
				backend.EXPECT().Do(gomock.Any(), gomock.Any()).DoAndReturn(
					func(ctx context.Context, call ports.Call) (*domain.Response, error) {
						if tt.before > 0 {
							pause(ctx, tt.before)
							_ = call.Reserve(ctx, 1<<20)
						}
						<-ctx.Done()
						require.Equal(t, tt.hasty, errors.Is(context.Cause(ctx), ports.ErrHasty))
						require.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
						return nil, &domain.Failure{Kind: domain.FailureTimeout, Err: ctx.Err()}
					})
				opts.Endpoints = calledBy(opts.Endpoints, backend)
				out := application.NewProcess(opts, observer).Process(t.Context(), d,
					func(ctx context.Context, _ int64) error {
						pause(ctx, tt.wait)
						return ctx.Err()
					})
				require.Equal(t, 1, out.Attempts)
			})
		})
	}
}

// TestProcessInterrupted cuts a call off in its middle, as a shutdown does.
func TestProcessInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cutOff := context.WithCancelCause(t.Context())
	got := processIn(ctx, t, processOptions(), delivery(),
		func(ctx context.Context, _ ports.Call) (*domain.Response, error) {
			cutOff(ports.ErrInterrupted)
			<-ctx.Done()
			require.ErrorIs(t, context.Cause(ctx), ports.ErrInterrupted)
			return nil, &domain.Failure{Kind: domain.FailureInterrupted, Err: errors.New("cut off")}
		})
	require.Equal(t, "interrupted", got.Label)
	require.Equal(t, domain.Outcome{
		Status: domain.Pending, Attempts: 1, NextAttemptAt: noon, At: noon, Error: "interrupted: cut off",
	}, got.Outcome)
}
