package worker_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// TestPoolSavesTogetherWhatGathers holds a Finish up: what ends meanwhile is saved by the next one, all of it.
func TestPoolSavesTogetherWhatGathers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := make(gate)
		q := newQueue(delivery("a", 10))
		q.finish = disk.finish
		r := start(t, options(), q, newProcessor(atOnce))
		for _, id := range []domain.ID{"b", "c", "d"} {
			q.add(delivery(id, 10))
			synctest.Wait()
		}
		require.Equal(t, [][]domain.ID{{"a"}}, q.finished())

		disk.open(2)
		synctest.Wait()
		require.Equal(t, [][]domain.ID{{"a"}, {"b", "c", "d"}}, q.finished())
		require.Len(t, q.outcomes(), 4)
		r.end(t)
	})
}

// TestPoolCountsWhatIsNotSaved holds that a store that is away stops the pool instead of piling results up: as many
// outcomes as there are slots wait, beside those whose calls had begun by then.
func TestPoolCountsWhatIsNotSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := make(gate)
		q, p := newQueue(deliveries("", 100, 10)...), newProcessor(atOnce)
		q.finish = disk.finish
		r := start(t, options(), q, p)
		require.GreaterOrEqual(t, len(p.calls()), 4)
		require.LessOrEqual(t, len(p.calls()), 8)

		close(disk)
		synctest.Wait()
		require.Len(t, q.outcomes(), 100)
		r.end(t)
		require.LessOrEqual(t, q.mostOut, 8)
	})
}

// TestPoolRepeatsAFinishThatIsNotConfirmed has a store that is away for a minute. What was called is not called again.
func TestPoolRepeatsAFinishThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var tries []time.Duration
		q, p := newQueue(delivery("a", 10)), newProcessor(atOnce)
		q.finish = func(_ context.Context, finishes []ports.Finish) []error {
			tries = append(tries, time.Since(began))
			if time.Since(began) >= time.Minute {
				return make([]error, len(finishes))
			}
			return unavailable(finishes)
		}
		r := start(t, options(), q, p)
		<-time.After(2 * time.Minute)

		require.Equal(t, map[domain.ID]int{"a": 1}, p.calls())
		require.Equal(t, map[domain.ID]domain.Status{"a": domain.Completed}, q.outcomes())
		requireBackoff(t, tries)
		r.end(t)
	})
}

// requireBackoff holds the pauses between tries to 100 ms, 200 ms and so on up to 5 s, less a random half at the most.
func requireBackoff(t *testing.T, tries []time.Duration) {
	t.Helper()
	require.Zero(t, tries[0])
	most := 100 * time.Millisecond
	for i := range tries[1:] {
		pause := tries[i+1] - tries[i]
		require.GreaterOrEqual(t, pause, most/2, "try %d", i+1)
		require.LessOrEqual(t, pause, most, "try %d", i+1)
		most = min(2*most, 5*time.Second)
	}
	require.Equal(t, 5*time.Second, most, "too few tries to see its end")
}

func TestPoolBacksOffFromTheStartAfterASuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away outage
		away.Store(true)
		q := newQueue(delivery("a", 10))
		q.finish = away.finish
		r := start(t, options(), q, newProcessor(atOnce))
		<-time.After(time.Minute)
		away.Store(false)
		<-time.After(time.Minute)
		require.Len(t, q.outcomes(), 1)

		away.Store(true)
		q.add(delivery("b", 10))
		synctest.Wait()
		away.Store(false)
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		require.Len(t, q.outcomes(), 2)
		r.end(t)
	})
}

// TestPoolSavesTheOthers has one outcome that cannot be saved: it holds up neither its group nor what comes after it.
func TestPoolSavesTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var away outage
		away.Store(true)
		q, p := newQueue(deliveries("", 100, 10)...), newProcessor(atOnce)
		q.finish = func(ctx context.Context, finishes []ports.Finish) []error {
			errs := make([]error, len(finishes))
			for i := range finishes {
				if finishes[i].ID == "2" {
					errs[i] = away.finish(ctx, finishes[i:i+1])[0]
				}
			}
			return errs
		}
		r := start(t, logTo(&log), q, p)
		<-time.After(10 * time.Minute)
		require.Len(t, q.outcomes(), 99)
		require.NotContains(t, q.outcomes(), domain.ID("2"))

		away.Store(false)
		<-time.After(5 * time.Second)
		synctest.Wait()
		require.Len(t, q.outcomes(), 100)
		require.Equal(t, 1, p.calls()["2"])
		r.end(t)
		const warning = `level=WARN msg="outcomes not saved; retrying until the store confirms them" waiting=1`
		require.Equal(t, 10, strings.Count(log.String(), warning), "one a minute")
		require.Contains(t, log.String(), "connection refused")
	})
}

// TestPoolDropsWhatIsLost holds that deliveries which belong to somebody else are not fought for: once refused, they
// take neither a slot nor bytes any more.
func TestPoolDropsWhatIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		opts := logTo(&log)
		opts.MaxBytes = 100
		q, p := newQueue(deliveries("lost ", 20, 30)...), newProcessor(atOnce)
		q.add(delivery("kept", 30))
		q.finish = lose("lost")
		r := start(t, opts, q, p)
		<-time.After(time.Minute)
		require.Len(t, p.calls(), 21)
		require.Equal(t, map[domain.ID]domain.Status{"kept": domain.Completed}, q.outcomes())
		require.Len(t, slices.Concat(q.finished()...), 21, "each once")
		r.end(t)
		require.Empty(t, log.String())
	})
}
