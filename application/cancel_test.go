package application_test

import (
	"errors"
	"testing"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

func newCancel(t *testing.T) (*application.Cancel, *mocks.MockResults, *mocks.MockIntake) {
	t.Helper()
	ctrl := gomock.NewController(t)
	results, intake := mocks.NewMockResults(ctrl), mocks.NewMockIntake(ctrl)
	return application.NewCancel(results, intake), results, intake
}

// TestCancelIsForTheOwner holds that a request of somebody else is neither cancelled nor shown.
func TestCancelIsForTheOwner(t *testing.T) {
	t.Parallel()
	for _, tt := range owners {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cancel, results, intake := newCancel(t)
			results.EXPECT().State(gomock.Any(), domain.ID("id")).
				Return(domain.Record{ID: "id", Owner: tt.owner, Status: domain.Pending}, nil)
			want := domain.Record{}
			if tt.want == nil {
				want = domain.Record{ID: "id", Owner: tt.owner, Status: domain.Cancelled}
				intake.EXPECT().Cancel(gomock.Any(), domain.ID("id")).Return(want, nil)
			}
			got, err := cancel.Cancel(t.Context(), tt.caller, "id")
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, want, got)
		})
	}
}

func TestCancelTooLateReturnsTheRecord(t *testing.T) {
	t.Parallel()
	cancel, results, intake := newCancel(t)
	begun := domain.Record{ID: "id", Status: domain.Processing}
	results.EXPECT().State(gomock.Any(), gomock.Any()).Return(domain.Record{ID: "id", Status: domain.Pending}, nil)
	intake.EXPECT().Cancel(gomock.Any(), gomock.Any()).Return(begun, ports.ErrConflict)

	got, err := cancel.Cancel(t.Context(), ports.Caller{}, "id")
	require.ErrorIs(t, err, ports.ErrConflict)
	require.Equal(t, begun, got)
}

func TestCancelChangesNothingWhenTheRecordCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, want := range []error{ports.ErrNotFound, ports.ErrUnavailable, errors.New("broken")} {
		cancel, results, _ := newCancel(t)
		results.EXPECT().State(gomock.Any(), gomock.Any()).Return(domain.Record{ID: "half"}, want)

		got, err := cancel.Cancel(t.Context(), ports.Caller{Admin: true}, "id")
		require.ErrorIs(t, err, want)
		require.Zero(t, got)
	}
}
