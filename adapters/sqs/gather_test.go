package sqs

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slow is a gatherer whose requests take a second, and what they were.
type slow struct {
	gatherer[int]

	loops    sync.WaitGroup
	mu       sync.Mutex
	requests [][]int
	again    map[int]bool // to be sent again, once
}

func newSlow() *slow {
	s := &slow{again: make(map[int]bool)}
	s.gatherer.loops = &s.loops
	s.fit = func(waiting []int) int { return min(len(waiting), maxBatch) }
	s.send = func(items []int) (again []int) {
		s.mu.Lock()
		s.requests = append(s.requests, items)
		for _, item := range items {
			if s.again[item] {
				again = append(again, item)
				delete(s.again, item)
			}
		}
		s.mu.Unlock()
		<-time.After(time.Second)
		return again
	}
	return s
}

func (s *slow) sizes() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sizes []int
	for _, request := range s.requests {
		sizes = append(sizes, len(request))
	}
	return sizes
}

func TestRequestsGatherWhileOtherRequestsAreUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		for i := range 15 {
			require.True(t, s.put(i))
		}
		synctest.Wait()
		require.ElementsMatch(t, []int{1, 10}, s.sizes(), "one goes alone, a full one beside it, and the rest gathers")
		for i := range 200 {
			s.put(100 + i)
		}
		synctest.Wait()
		require.Len(t, s.sizes(), maxParallel)
		s.end()
		require.False(t, s.put(1))
		s.drain(t.Context())
		s.loops.Wait()
		total, full := 0, 0
		for _, size := range s.sizes() {
			total += size
			if size == maxBatch {
				full++
			}
		}
		require.Equal(t, 215, total)
		require.GreaterOrEqual(t, full, len(s.sizes())-2, "all but the first and the last")
	})
}

func TestWhatIsSentAgainGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		s.again[7] = true
		s.put(7)
		s.put(8)
		s.put(9)
		s.drain(t.Context())
		require.Equal(t, [][]int{{7}, {7, 8, 9}}, s.requests)

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		s.put(1)
		s.drain(ctx)
		require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "it does not wait for longer than it may")
		s.loops.Wait()
	})
}
