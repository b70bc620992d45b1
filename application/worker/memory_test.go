package worker

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGrantedInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(Options{MaxBytes: 10})
		require.NoError(t, m.reserve(t.Context(), "only", 6))
		order := make(chan int64, 3)
		for _, n := range []int64{7, 3, 2} {
			go func() {
				if m.reserve(t.Context(), "only", n) == nil {
					order <- n
				}
			}()
			synctest.Wait()
		}
		require.Empty(t, order, "a small one does not pass a large one by")
		m.release("only", 6)
		synctest.Wait()
		require.ElementsMatch(t, []int64{7, 3}, []int64{<-order, <-order})
		require.Empty(t, order)
		m.release("only", 3)
		require.Equal(t, int64(2), <-order)
		m.release("only", 9)
		require.Equal(t, int64(10), m.free)
	})
}

func TestMemoryThatIsNoLongerWantedGoesToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(Options{MaxBytes: 10})
		require.NoError(t, m.reserve(t.Context(), "only", 10))
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		go func() { first = m.reserve(ctx, "only", 10) }()
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			second = m.reserve(t.Context(), "only", 4)
		}()
		synctest.Wait()
		m.release("only", 5)
		cancel()
		<-done
		synctest.Wait()
		require.ErrorIs(t, first, context.Canceled)
		require.NoError(t, second)
		m.release("only", 9)
		require.Equal(t, int64(10), m.free)
		require.Zero(t, m.waiting.Len())
	})
}

func TestAReservationIsNeverMoreThanThereIs(t *testing.T) {
	t.Parallel()
	m := newMemory(Options{MaxBytes: 10})
	r := reservation{memory: m, endpoint: "only"}
	require.NoError(t, r.reserve(t.Context(), 1000))
	require.Equal(t, int64(10), r.held)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	other := reservation{memory: m, endpoint: "only"}
	require.Error(t, other.reserve(ended, 1))
	require.Zero(t, other.held)
	m.release("only", r.held)
	m.release("only", other.held)
	require.Equal(t, int64(10), m.free)
}

func TestAnEndpointThatHoldsItsShareOfMemoryLetsTheOthersPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(Options{MaxBytes: 10, Known: []string{"hangs", "works"}})
		granted := make(chan string, 10)
		ask := func(endpoint string) {
			go func() {
				if m.reserve(t.Context(), endpoint, 2) == nil {
					granted <- endpoint
				}
			}()
			synctest.Wait()
		}
		for range 5 {
			ask("hangs")
		}
		require.Len(t, granted, 3)
		ask("works")
		require.Len(t, granted, 4, "it does not wait behind the other's")
		m.release("works", 2)
		synctest.Wait()
		require.Len(t, granted, 4)

		for range 3 {
			m.release("hangs", 2)
		}
		synctest.Wait()
		require.Len(t, granted, 6)
		for range 2 {
			m.release("hangs", 2)
		}
		require.Equal(t, int64(10), m.free)
		require.Empty(t, m.held)
		require.Zero(t, m.waiting.Len())
	})
}
