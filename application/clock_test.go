package application_test

import (
	"context"
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

// TestWaitingForOurOwnMemoryIsNotTheBackendsTime has an attempt of 30 seconds whose call takes 20, waits an hour for
// memory, and then takes as long as its answer needs.
func TestWaitingForOurOwnMemoryIsNotTheBackendsTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rest time.Duration
		want domain.Status
	}{
		{"in time", 9 * time.Second, domain.Completed},
		{"too late", 11 * time.Second, domain.Pending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctrl := gomock.NewController(t)
				backend, observer := mocks.NewMockBackend(ctrl), mocks.NewMockObserver(ctrl)
				observer.EXPECT().Attempted(gomock.Any(), gomock.Any())
				backend.EXPECT().Do(gomock.Any(), gomock.Any()).DoAndReturn(
					func(ctx context.Context, call ports.Call) (*domain.Response, error) {
						pause(ctx, 20*time.Second)
						require.NoError(t, call.Reserve(ctx, 1<<20))
						if pause(ctx, tt.rest); ctx.Err() != nil {
							return nil, &domain.Failure{Kind: domain.FailureTimeout, Err: context.Cause(ctx)}
						}
						return &domain.Response{StatusCode: 200}, nil
					})
				reserve := func(ctx context.Context, _ int64) error {
					pause(ctx, time.Hour)
					return ctx.Err()
				}
				opts := processOptions()
				opts.Now = time.Now
				d := delivery()
				d.Request.Deadline = time.Now().Add(24 * time.Hour)
				opts.Endpoints = calledBy(opts.Endpoints, backend)
				out := application.NewProcess(opts, observer).Process(t.Context(), d, reserve)
				require.Equal(t, tt.want, out.Status)
			})
		})
	}
}

// pause waits for d or the end of ctx, on the clock of the bubble.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
