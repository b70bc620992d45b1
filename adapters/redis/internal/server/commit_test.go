package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

func TestNobodyWaitsLongerForACommitThanForOneAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Shards: newShards("queue", 1)}
		c := newCommitter(s) // which is held up by what came before
		ops := make([]*Op, maxGroupOps+1)
		for i := range ops {
			ops[i] = NewOp(s.Shards[0], 0, script.Call{})
		}
		for _, waiting := range [][]*Op{ops[:1], ops} { // for an answer, and for a place
			began := time.Now()
			for _, result := range c.Do(t.Context(), waiting...) {
				require.ErrorIs(t, result.Err, ports.ErrUnavailable)
			}
			require.Equal(t, ReplyTimeout, time.Since(began))
		}
		require.Empty(t, gather(ops[0], c.queues[s.Shards[0]]), "nobody waits for them any more")
	})
}

func TestAGroupIsWhatWaitsWithinTheBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		give int // ops
		size int // of each
		want int
	}{
		{"one", 1, 1, 1},
		{"all that wait", 100, 1, 100},
		{"a full group", 2 * maxGroupOps, 0, maxGroupOps},
		{"large ones", 10, MaxGroupBytes / 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			queue := make(chan *Op, tt.give)
			for range tt.give {
				queue <- NewOp(nil, tt.size, script.Call{})
			}
			require.Len(t, gather(<-queue, queue), tt.want)
		})
	}
}
