package worker_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestPoolProcessesEverythingOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		q, p := newQueue(deliveries("", n, 10)...), newProcessor(atOnce)
		r := start(t, options(), q, p)

		require.Len(t, q.outcomes(), n)
		require.Len(t, p.calls(), n)
		for id, calls := range p.calls() {
			require.Equal(t, 1, calls, id)
			require.Equal(t, domain.Completed, q.outcomes()[id])
		}
		require.Zero(t, r.end(t))
		require.Empty(t, q.out)
		require.LessOrEqual(t, q.mostOut, 8, "as many run as there are slots, and as many wait to be saved")
	})
}

// TestPoolPassesTheDeliveryOnUnchanged holds that the use-case gets the whole delivery and the queue its token and
// outcome.
func TestPoolPassesTheDeliveryOnUnchanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := delivery("a", 10)
		d.Answered, d.Deliveries = true, 3
		out := domain.Outcome{Status: domain.Failed, Attempts: 3, Error: "some cause", Reason: domain.ReasonAttempts}
		var got ports.Delivery
		q := newQueue(d)
		r := start(t, options(), q, newProcessor(func(_ context.Context, d ports.Delivery) domain.Outcome {
			got = d
			return out
		}))
		require.Equal(t, d, got)
		r.end(t)
		require.Equal(t, [][]ports.Finish{{{ID: "a", Token: d.Token, Outcome: out}}}, q.groups)
	})
}

// TestPoolHoldsNoMoreThanItsSlots queues more than it can call at once.
func TestPoolHoldsNoMoreThanItsSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		q, p := newQueue(deliveries("", 10, 10)...), newProcessor(g.process)
		r := start(t, options(), q, p)
		require.Len(t, p.calls(), 4)
		require.Len(t, q.asked(), 1, "without a free slot nothing is asked for")
		require.Equal(t, 4, q.asked()[0].Count)

		g.open(1)
		synctest.Wait()
		require.Len(t, p.calls(), 5)
		require.Equal(t, 1, q.asked()[1].Count)

		g.open(9)
		synctest.Wait()
		require.Len(t, q.outcomes(), 10)

		q.add(deliveries("more ", 10, 10)...)
		synctest.Wait()
		require.Len(t, p.calls(), 14, "every slot is given back")
		r.end(t)
		require.LessOrEqual(t, q.mostOut, 8, "as many run as there are slots, and as many wait to be saved")
	})
}

// TestPoolHoldsNoMoreThanItsBytes has enough slots, but little memory.
func TestPoolHoldsNoMoreThanItsBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		opts.Slots, opts.MaxBytes = 10, 100
		g := make(gate)
		q, p := newQueue(deliveries("", 5, 40)...), newProcessor(g.process)
		r := start(t, opts, q, p)
		// Two fit. A third is given into the last 20 bytes, since a first one always is; then there is no room.
		require.Equal(t, []ports.Credit{{Count: 10, Bytes: 100}, {Count: 8, Bytes: 20}}, q.asked())
		require.Len(t, p.calls(), 3)

		g.open(1)
		synctest.Wait()
		require.Equal(t, ports.Credit{Count: 8, Bytes: 20}, q.asked()[2])
		require.Len(t, p.calls(), 4)

		g.open(4)
		synctest.Wait()
		require.Len(t, q.outcomes(), 5)

		q.add(deliveries("more ", 5, 40)...)
		synctest.Wait()
		require.Len(t, p.calls(), 8, "every byte is given back")
		r.end(t)
		require.Equal(t, 3, q.mostOut)
	})
}

func TestPoolTakesARequestLargerThanItsBytesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		opts.MaxBytes = 100
		g := make(gate)
		q, p := newQueue(delivery("large", 1000), delivery("small", 1)), newProcessor(g.process)
		r := start(t, opts, q, p)
		require.Equal(t, map[domain.ID]int{"large": 1}, p.calls())

		g.open(2)
		synctest.Wait()
		require.Len(t, q.outcomes(), 2)
		r.end(t)
	})
}

// TestPoolHasAConstantNumberOfGoroutines counts those of all pools, so no other test may run beside it.
//
//nolint:paralleltest // see above
func TestPoolHasAConstantNumberOfGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		g := make(gate)
		q := newQueue()
		r := start(t, opts, q, newProcessor(g.process))
		want := opts.Slots + 2 // one fetches, one saves
		require.Equal(t, want, poolGoroutines(), "idle")

		q.add(deliveries("", 100, 10)...)
		synctest.Wait()
		require.Equal(t, want, poolGoroutines(), "busy")

		g.open(50)
		synctest.Wait()
		require.Equal(t, want, poolGoroutines(), "half done")

		g.open(50)
		synctest.Wait()
		r.end(t) // that none is left is for synctest and goleak to say
	})
}

// poolGoroutines counts the goroutines that run a pool's code, or were started by it.
func poolGoroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "worker.(*Pool).") {
			n++
		}
	}
	return n
}

// TestPoolCutsOffACallWhoseLeaseIsLost holds that the use-case gets the reason, and that other calls go on.
func TestPoolCutsOffACallWhoseLeaseIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease, runOut := context.WithCancelCause(context.Background())
		lost, kept := delivery("lost", 10), delivery("kept", 10)
		lost.Lease = lease
		q := newQueue(lost, kept)
		q.finish = lose("lost")
		r := start(t, options(), q, newProcessor(after(time.Minute)))

		runOut(ports.ErrLost)
		synctest.Wait()
		require.Equal(t, [][]domain.ID{{"lost"}}, q.finished())

		<-time.After(time.Minute)
		synctest.Wait()
		require.Equal(t, map[domain.ID]domain.Status{"kept": domain.Completed}, q.outcomes())
		r.end(t)
		require.Equal(t, ports.ErrInterrupted.Error(), q.groups[0][0].Outcome.Error)
	})
}

// TestPoolDoesNotCallWhatIsLostAlready holds that nothing is sent for a request that another worker has by now.
func TestPoolDoesNotCallWhatIsLostAlready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease, runOut := context.WithCancel(context.Background())
		runOut()
		lost := delivery("lost", 10)
		lost.Lease = lease
		q, p := newQueue(lost), newProcessor(atOnce)
		q.finish = lose("lost")
		r := start(t, options(), q, p)
		require.Empty(t, p.calls())
		require.Equal(t, [][]domain.ID{{"lost"}}, q.finished(), "dropped, not repeated")
		r.end(t)
	})
}

// TestPoolChangesItsSlotsWhileItWorks has always more to do than it may.
func TestPoolChangesItsSlotsWhileItWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		q, p := newQueue(deliveries("", 100, 10)...), newProcessor(g.process)
		pool := worker.New(options(), q, p)
		pool.Change(3, nil) // before it runs
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- pool.Run(ctx) }()
		synctest.Wait()
		require.Len(t, p.calls(), 3)
		for _, step := range []struct{ slots, finished, begun int }{
			{slots: 10, begun: 10},
			{slots: 2, begun: 10},
			{slots: 2, finished: 9, begun: 11},
			{slots: 5, begun: 14},
		} {
			pool.Change(step.slots, nil)
			g.open(step.finished)
			synctest.Wait()
			require.Len(t, p.calls(), step.begun, step)
		}
		close(g)
		synctest.Wait()
		require.Len(t, q.outcomes(), 100)
		stop()
		require.NoError(t, <-ended)
		pool.Change(20, nil) // after it has ended
	})
}

func TestPoolFetchesForEndpointsThatAreNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		opts.Known = []string{"a"}
		q := newQueue()
		pool := worker.New(opts, q, newProcessor(atOnce))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- pool.Run(ctx) }()
		synctest.Wait()
		require.Len(t, q.credits, 1)
		pool.Change(4, []string{"a", "b"})
		synctest.Wait()
		require.Len(t, q.credits, 2)
		require.Contains(t, q.credits[1].Known, "b")
		stop()
		require.NoError(t, <-ended)
	})
}
