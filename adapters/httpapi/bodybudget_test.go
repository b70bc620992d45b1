package httpapi

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneClientLeavesRoomForOtherClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		budget := newBodyBudget(400, 50)
		hold := func(client string, size int64) (release func()) {
			release, err := budget.acquire(t.Context(), client, size)
			require.NoError(t, err)
			return release
		}
		refused := func(client string, size int64) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := budget.acquire(ctx, client, size)
			require.ErrorIs(t, err, errNoRoom)
		}
		first, second := hold("stalled", 50), hold("stalled", 50)
		refused("stalled", 1) // it has a quarter
		releases := []func(){second}
		for _, client := range []string{"a", "b", "c"} {
			releases = append(releases, hold(client, 50), hold(client, 50))
		}
		refused("d", 1) // all is taken

		waiting := make(chan func())
		go func() { waiting <- hold("stalled", 50) }()
		synctest.Wait()
		first()
		releases = append(releases, <-waiting)
		for _, release := range releases {
			release()
		}
		require.Empty(t, budget.clients, "nobody is remembered who holds nothing")
		for _, client := range []string{"a", "b", "c", "d"} {
			hold(client, 100)
		}
	})
}

func TestAnyClientHasRoomForTheLargestBody(t *testing.T) {
	t.Parallel()
	for _, total := range []int64{0, 50, 100, 400} {
		release, err := newBodyBudget(total, 50).acquire(t.Context(), "a", 50)
		require.NoError(t, err)
		release()
	}
}
