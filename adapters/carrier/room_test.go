package carrier_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

const (
	whole = 64 << 20
	half  = whole / 2
)

func TestRoomIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		room := carrier.NewRoom(t.Context())
		require.NoError(t, room.Acquire(t.Context(), half))
		admitted := make(chan error, 1)
		go func() { admitted <- room.Acquire(t.Context(), 2*whole) }() // it counts as all there is
		synctest.Wait()
		require.Empty(t, admitted)
		room.Release(half)
		require.NoError(t, <-admitted)
		room.Release(2 * whole)
		require.NoError(t, room.Acquire(t.Context(), whole))
	})
}

func TestWaitingForRoomEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		room := carrier.NewRoom(life)
		require.NoError(t, room.Acquire(t.Context(), whole))
		ctx, cancel := context.WithCancelCause(t.Context())
		results := make(chan error, 1)
		go func() { results <- room.Acquire(ctx, 1) }()
		synctest.Wait()
		cancel(ports.ErrInterrupted)
		err := <-results
		require.ErrorIs(t, err, ports.ErrUnavailable)
		require.ErrorIs(t, err, ports.ErrInterrupted)

		go func() { results <- room.Acquire(t.Context(), 1) }()
		synctest.Wait()
		end()
		require.ErrorIs(t, <-results, ports.ErrClosed)
		room.Release(whole)
		require.ErrorIs(t, room.Acquire(t.Context(), 1), ports.ErrClosed)
	})
}
