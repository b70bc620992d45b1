package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestTheLowLaneGetsItsShareWhileTheHighOneGoesFirst(t *testing.T) {
	t.Parallel()
	var turn domain.LaneTurn
	for i := range 10 * domain.LowLaneShare {
		want := domain.LaneHigh
		if i%domain.LowLaneShare == domain.LowLaneShare-1 {
			want = domain.LaneLow
		}
		first := turn.Order()[0]
		require.Equal(t, want, first, "delivery %d", i)
		turn.Took(first)
	}
}

func TestALowLaneThatHadNothingHasTheNextTurn(t *testing.T) {
	t.Parallel()
	var turn domain.LaneTurn
	for range 3 * domain.LowLaneShare {
		turn.Took(domain.LaneHigh) // the low lane was empty
	}
	require.Equal(t, [domain.LaneCount]domain.Lane{domain.LaneLow, domain.LaneHigh}, turn.Order())
	require.Equal(t, 3*domain.LowLaneShare, turn.Streak())
	turn.Took(domain.LaneLow)
	require.Equal(t, [domain.LaneCount]domain.Lane{domain.LaneHigh, domain.LaneLow}, turn.Order())
	require.Equal(t, 1, func() int { turn.Took(domain.LaneHigh); return turn.Streak() }())
	after := domain.LaneTurnAfter(domain.LowLaneShare - 1)
	require.Equal(t, domain.LaneLow, after.Order()[0])
}
