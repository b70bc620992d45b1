package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func statuses() []domain.Status {
	return []domain.Status{
		domain.Pending, domain.Processing, domain.Completed, domain.Failed, domain.TimedOut, domain.Cancelled,
	}
}

// TestStatusMoves holds every pair of statuses against the picture of their life.
func TestStatusMoves(t *testing.T) {
	t.Parallel()
	legal := map[domain.Status][]domain.Status{
		domain.Pending: {domain.Processing, domain.Failed, domain.TimedOut, domain.Cancelled},
		domain.Processing: {
			domain.Pending, domain.Processing, domain.Completed, domain.Failed, domain.TimedOut,
		},
		domain.Completed: {},
		domain.Failed:    {},
		domain.TimedOut:  {},
		domain.Cancelled: {},
	}
	require.Len(t, legal, len(statuses()))
	for _, from := range statuses() {
		for _, to := range statuses() {
			want := false
			for _, next := range legal[from] {
				want = want || next == to
			}
			require.Equal(t, want, from.CanBecome(to), "%s -> %s", from, to)
		}
	}
}

func TestStatusMovesNeverTouchWhatIsNoStatus(t *testing.T) {
	t.Parallel()
	for _, status := range statuses() {
		for _, none := range []domain.Status{"", "DONE", "completed"} {
			require.False(t, status.CanBecome(none), "%s -> %q", status, none)
			require.False(t, none.CanBecome(status), "%q -> %s", none, status)
		}
	}
}

func TestStatusEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give             domain.Status
		wantFinal        bool
		wantDeadLettered bool
	}{
		{domain.Pending, false, false},
		{domain.Processing, false, false},
		{domain.Completed, true, false},
		{domain.Failed, true, true},
		{domain.TimedOut, true, true},
		{domain.Cancelled, true, false},
		{"", false, false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.wantFinal, tt.give.Final(), "%q final", tt.give)
		require.Equal(t, tt.wantDeadLettered, tt.give.DeadLettered(), "%q dead-lettered", tt.give)
	}
}
