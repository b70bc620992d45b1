package worker

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGivenInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(10)
		require.NoError(t, m.reserve(t.Context(), 6))
		order := make(chan int64, 3)
		for _, n := range []int64{7, 3, 2} {
			go func() {
				if m.reserve(t.Context(), n) == nil {
					order <- n
				}
			}()
			synctest.Wait()
		}
		require.Empty(t, order, "a small one does not pass a large one by")
		m.release(6)
		synctest.Wait()
		require.ElementsMatch(t, []int64{7, 3}, []int64{<-order, <-order})
		require.Empty(t, order)
		m.release(3)
		require.Equal(t, int64(2), <-order)
		m.release(9)
		require.Equal(t, int64(10), m.free)
	})
}

func TestMemoryThatIsNotWantedAnyMoreGoesToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(10)
		require.NoError(t, m.reserve(t.Context(), 10))
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		go func() { first = m.reserve(ctx, 10) }()
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			second = m.reserve(t.Context(), 4)
		}()
		synctest.Wait()
		m.release(5)
		cancel()
		<-done
		synctest.Wait()
		require.ErrorIs(t, first, context.Canceled)
		require.NoError(t, second)
		m.release(9)
		require.Equal(t, int64(10), m.free)
		require.Zero(t, m.waiting.Len())
	})
}

func TestAReservationIsNeverMoreThanThereIs(t *testing.T) {
	t.Parallel()
	m := newMemory(10)
	r := reservation{memory: m}
	require.NoError(t, r.take(t.Context(), 1000))
	require.Equal(t, int64(10), r.held)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	other := reservation{memory: m}
	require.Error(t, other.take(ended, 1))
	require.Zero(t, other.held)
	m.release(r.held)
	m.release(other.held)
	require.Equal(t, int64(10), m.free)
}
