package worker_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// survivors are deliveries, s0 and so on, that were handed out so often, this time included.
func survivors(n, handOuts int) []ports.Delivery {
	all := deliveries("s", n, 10)
	for i := range all {
		all[i].Deliveries = handOuts
	}
	return all
}

// crowded is a gate that counts how many pass it at once.
type crowded struct {
	gate

	now, most atomic.Int64
}

func (c *crowded) process(ctx context.Context, d ports.Delivery) domain.Outcome {
	c.most.Store(max(c.most.Load(), c.now.Add(1)))
	defer c.now.Add(-1)
	return c.gate.process(ctx, d)
}

func TestPoolRunsFewBesideARequestWhoseWorkerDied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		opts.Slots = 64
		g := &crowded{gate: make(gate)}
		q, p := newQueue(survivors(30, 2)...), newProcessor(g.process)
		r := start(t, opts, q, p)
		require.Len(t, p.calls(), 4)
		require.Len(t, q.outcomes(), 26, "the others are handed back")
		for _, id := range []domain.ID{"s4", "s29"} {
			require.Equal(t, domain.Pending, q.outcome(id).Status)
			require.Equal(t, 1, q.outcome(id).Deliveries, "this hand-out does not count, the one before does")
		}

		q.add(deliveries("fresh ", 10, 10)...)
		g.open(1)
		synctest.Wait()
		require.Len(t, p.calls(), 5, "no more run beside the other survivors")
		g.open(13)
		synctest.Wait()
		require.Len(t, p.calls(), 14)
		require.LessOrEqual(t, g.most.Load(), int64(10))

		q.add(deliveries("later ", 64, 10)...)
		synctest.Wait()
		require.Equal(t, int64(64), g.now.Load(), "without survivors all slots work")
		g.open(64)
		r.end(t)
	})
}

// TestPoolThatIsBusyRunsFewBesideARequestWhoseWorkerDied has survivors that come back while many others run.
func TestPoolThatIsBusyRunsFewBesideARequestWhoseWorkerDied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		opts.Slots = 64
		g := &crowded{gate: make(gate)}
		q, p := newQueue(deliveries("before ", 60, 10)...), newProcessor(g.process)
		q.returns = true
		r := start(t, opts, q, p)
		q.add(survivors(4, 2)...)
		q.add(deliveries("with ", 1, 10)...)
		q.add(deliveries("after ", 10, 10)...)
		synctest.Wait()
		require.Len(t, p.calls(), 61, "one of them does not wait for the longest of the others")
		require.Equal(t, 1, p.calls()["s0"])
		require.Equal(t, 1, q.outcome("s1").Deliveries, "a death of this process is not counted against it")

		g.open(61)
		synctest.Wait()
		require.Equal(t, int64(4), g.now.Load(), "few run together once the others have ended")
		for range 75 {
			g.open(int(g.now.Load()))
			synctest.Wait()
		}
		for _, id := range []domain.ID{"s1", "s2", "s3"} {
			require.Equal(t, 1, p.calls()[id])
		}
		r.end(t)
		require.Len(t, q.outcomes(), 75)
	})
}

func TestPoolRunsARequestWhoseWorkerDiedTwiceAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &crowded{gate: make(gate)}
		q, p := newQueue(deliveries("before ", 2, 10)...), newProcessor(g.process)
		q.returns = true
		r := start(t, options(), q, p)
		q.add(survivors(3, 3)...)
		q.add(deliveries("after ", 2, 10)...)
		synctest.Wait()
		require.Len(t, p.calls(), 2, "it waits for what runs")
		for _, id := range []domain.ID{"s0", "s1"} {
			require.Equal(t, domain.Pending, q.outcome(id).Status, "in the queue,")
			require.Equal(t, 2, q.outcome(id).Deliveries, "so that a death of this process is not counted against it")
		}
		require.Len(t, q.out, 2)

		for _, id := range []domain.ID{"s0", "s1", "s2"} {
			g.open(int(g.now.Load()))
			synctest.Wait()
			require.Equal(t, 1, p.calls()[id])
			require.Equal(t, int64(1), g.now.Load(), "nothing runs beside it")
			require.Len(t, q.out, 1, "and nothing else is begun")
		}
		g.open(1)
		synctest.Wait()
		require.Equal(t, domain.Completed, q.outcomes()["s2"])
		require.Equal(t, int64(2), g.now.Load(), "after that the others run")
		g.open(2)
		synctest.Wait()
		r.end(t)
		require.Len(t, q.outcomes(), 7)
	})
}

// TestPoolCallsTheOthersThatCameWithARequestThatRunsAlone has a queue that handed them out together.
func TestPoolCallsTheOthersThatCameWithARequestThatRunsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &crowded{gate: make(gate)}
		q, p := newQueue(append(deliveries("fresh ", 2, 10), survivors(1, 3)...)...), newProcessor(g.process)
		q.returns = true
		r := start(t, options(), q, p)
		require.Equal(t, map[domain.ID]int{"fresh 0": 1, "fresh 1": 1}, p.calls())
		q.add(delivery("later", 10))
		synctest.Wait()
		require.Len(t, p.calls(), 2, "nothing more is fetched until it has run")
		g.open(2)
		synctest.Wait()
		require.Equal(t, 1, p.calls()["s0"])
		require.Zero(t, p.calls()["later"])
		g.open(2)
		synctest.Wait()
		r.end(t)
	})
}

// TestPoolHandsBackInPlaceWhatIsNoProbe has an endpoint whose breaker is half-open: what was never tried is handed back
// due at once, since the endpoint has no credit while its only probe runs.
func TestPoolHandsBackInPlaceWhatIsNoProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		limit := worker.Limit{Breaker: worker.BreakerRule{Failures: 1, Cooldown: time.Second, Probes: 1}}
		opts.Gates = worker.NewGates(map[string]worker.Limit{"": limit}, time.Now, slog.New(slog.DiscardHandler))
		_, err := opts.Gates.Backend(failing{}).Do(t.Context(), ports.Call{Request: &domain.Request{}})
		require.Error(t, err)
		<-time.After(time.Second)

		g := make(gate)
		waiting := deliveries("", 4, 10)
		for i := range waiting {
			waiting[i].Attempts = 0
		}
		q, p := newQueue(waiting...), newProcessor(g.process)
		r := start(t, opts, q, p)
		require.Equal(t, map[domain.ID]int{"0": 1}, p.calls())
		for _, id := range []domain.ID{"1", "2", "3"} {
			require.Equal(t, time.Now().UTC(), q.outcome(id).NextAttemptAt)
		}
		require.Equal(t, map[string]int{"": 0}, q.asked()[1].Endpoints)
		g.open(1)
		r.end(t)
	})
}
