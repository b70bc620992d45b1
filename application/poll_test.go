package application_test

import (
	"context"
	"errors"
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

// owners is who may see whose record.
var owners = []struct {
	name   string
	owner  string
	caller ports.Caller
	want   error
}{
	{"without keys", "", ports.Caller{}, nil},
	{"its own", "shop", ports.Caller{Name: "shop"}, nil},
	{"another's", "shop", ports.Caller{Name: "mail"}, ports.ErrNotFound},
	{"one from before there were keys", "", ports.Caller{Name: "shop"}, ports.ErrNotFound},
	{"one from when there were keys", "shop", ports.Caller{}, ports.ErrNotFound},
	{"another's with a name that differs in case", "shop", ports.Caller{Name: "Shop"}, ports.ErrNotFound},
	{"another's, for an admin", "shop", ports.Caller{Name: "root", Admin: true}, nil},
}

func TestPollShowsRecordsToTheirOwner(t *testing.T) {
	t.Parallel()
	for _, tt := range owners {
		record := domain.Record{ID: "id", Owner: tt.owner, Status: domain.Processing}
		want := record
		if tt.want != nil {
			want = domain.Record{}
		}
		t.Run("state of "+tt.name, func(t *testing.T) {
			t.Parallel()
			results := mocks.NewMockResults(gomock.NewController(t))
			results.EXPECT().State(gomock.Any(), domain.ID("id")).Return(record, nil)
			got, err := application.NewPoll(results).State(t.Context(), tt.caller, "id")
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, want, got)
		})
		t.Run("whole of "+tt.name, func(t *testing.T) {
			t.Parallel()
			results := mocks.NewMockResults(gomock.NewController(t))
			results.EXPECT().Find(gomock.Any(), domain.ID("id")).Return(record, nil)
			got, err := application.NewPoll(results).Find(t.Context(), tt.caller, "id")
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, want, got)
		})
		t.Run("waiting for "+tt.name, func(t *testing.T) {
			t.Parallel()
			results := mocks.NewMockResults(gomock.NewController(t))
			results.EXPECT().State(gomock.Any(), domain.ID("id")).Return(record, nil)
			if tt.want == nil { // else nobody waits
				results.EXPECT().Wait(gomock.Any(), domain.ID("id")).Return(record, nil)
			}
			got, err := application.NewPoll(results).Wait(t.Context(), tt.caller, "id", time.Second)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, want, got)
		})
	}
}

func TestPollPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := []struct {
		name   string
		expect func(*mocks.MockResultsMockRecorder)
		call   func(context.Context, *application.Poll) (domain.Record, error)
	}{
		{
			"State",
			func(r *mocks.MockResultsMockRecorder) {
				r.State(gomock.Any(), gomock.Any()).Return(domain.Record{ID: "half"}, broken)
			},
			func(ctx context.Context, p *application.Poll) (domain.Record, error) {
				return p.State(ctx, ports.Caller{}, "id")
			},
		},
		{
			"Find",
			func(r *mocks.MockResultsMockRecorder) {
				r.Find(gomock.Any(), gomock.Any()).Return(domain.Record{ID: "half"}, broken)
			},
			func(ctx context.Context, p *application.Poll) (domain.Record, error) {
				return p.Find(ctx, ports.Caller{}, "id")
			},
		},
		{
			"Wait before it waits",
			func(r *mocks.MockResultsMockRecorder) {
				r.State(gomock.Any(), gomock.Any()).Return(domain.Record{}, broken)
			},
			func(ctx context.Context, p *application.Poll) (domain.Record, error) {
				return p.Wait(ctx, ports.Caller{}, "id", time.Second)
			},
		},
		{
			"Wait while it waits",
			func(r *mocks.MockResultsMockRecorder) {
				r.State(gomock.Any(), gomock.Any()).Return(domain.Record{}, nil)
				r.Wait(gomock.Any(), gomock.Any()).Return(domain.Record{ID: "half"}, broken)
			},
			func(ctx context.Context, p *application.Poll) (domain.Record, error) {
				return p.Wait(ctx, ports.Caller{}, "id", time.Second)
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			results := mocks.NewMockResults(gomock.NewController(t))
			tt.expect(results.EXPECT())
			got, err := tt.call(t.Context(), application.NewPoll(results))
			require.ErrorIs(t, err, broken)
			require.Zero(t, got)
		})
	}
}

// TestPollWaits uses a store that is silent: the wait is over when it was to be, and the record is as it then is.
func TestPollWaits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		wait   time.Duration
		caller time.Duration // the caller's own patience
		want   time.Duration
	}{
		{"as long as is asked", 20 * time.Second, time.Hour, 20 * time.Second},
		{"no longer than its caller", 20 * time.Second, 3 * time.Second, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				record := domain.Record{ID: "id", Status: domain.Processing}
				results := mocks.NewMockResults(gomock.NewController(t))
				results.EXPECT().State(gomock.Any(), domain.ID("id")).Return(record, nil)
				results.EXPECT().Wait(gomock.Any(), domain.ID("id")).DoAndReturn(
					func(ctx context.Context, _ domain.ID) (domain.Record, error) {
						<-ctx.Done()
						return record, nil
					})
				ctx, cancel := context.WithTimeout(t.Context(), tt.caller)
				defer cancel()

				began := time.Now()
				got, err := application.NewPoll(results).Wait(ctx, ports.Caller{}, "id", tt.wait)
				require.NoError(t, err)
				require.Equal(t, record, got)
				require.Equal(t, tt.want, time.Since(began))
			})
		})
	}
}

func TestPollStopsWaitingWhenItsCallerLeaves(t *testing.T) {
	t.Parallel()
	results := mocks.NewMockResults(gomock.NewController(t))
	ctx, leave := context.WithCancel(t.Context())
	results.EXPECT().State(gomock.Any(), gomock.Any()).Return(domain.Record{}, nil)
	results.EXPECT().Wait(gomock.Any(), gomock.Any()).DoAndReturn(
		func(ctx context.Context, _ domain.ID) (domain.Record, error) {
			leave()
			<-ctx.Done()
			return domain.Record{}, ctx.Err()
		})
	_, err := application.NewPoll(results).Wait(ctx, ports.Caller{}, "id", time.Hour)
	require.ErrorIs(t, err, context.Canceled)
}

func TestPollDoesNotWaitForNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give domain.Status
		wait time.Duration
	}{
		{"what is final already", domain.Completed, time.Hour},
		{"no time at all", domain.Pending, 0},
		{"a negative time", domain.Pending, -time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			record := domain.Record{ID: "id", Status: tt.give}
			results := mocks.NewMockResults(gomock.NewController(t))
			results.EXPECT().State(gomock.Any(), domain.ID("id")).Return(record, nil)
			got, err := application.NewPoll(results).Wait(t.Context(), ports.Caller{}, "id", tt.wait)
			require.NoError(t, err)
			require.Equal(t, record, got)
		})
	}
}
