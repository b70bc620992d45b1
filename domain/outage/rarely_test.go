package outage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain/outage"
)

func TestRarelyIsAsQuietAsItIsAskedToBe(t *testing.T) {
	t.Parallel()
	r := outage.Rarely{Quiet: time.Minute}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	require.Equal(t, 1, r.Note(now))
	require.Zero(t, r.Note(now.Add(time.Minute-1)))
	require.Equal(t, 2, r.Note(now.Add(time.Minute)))
}

func TestRarelyLetsOneOfManyLinesThroughAndCountsTheRest(t *testing.T) {
	t.Parallel()
	var r outage.Rarely
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	require.Equal(t, 1, r.Note(now), "the first line at once")
	for range 41 {
		require.Zero(t, r.Note(now.Add(5*time.Second-1)))
	}
	require.Equal(t, 42, r.Note(now.Add(5*time.Second)), "those held back, and itself")
	require.Zero(t, r.Note(now.Add(6*time.Second)))
	require.Equal(t, 2, r.Note(now.Add(time.Minute)))
}
