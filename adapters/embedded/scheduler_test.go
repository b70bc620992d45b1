package embedded

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// push adds n entries to the queue of an endpoint; the first ones stay in memory.
func (s *scheduler) pushMany(endpoint string, lane domain.Lane, n int) *queue {
	q := s.queue(queueID{lane: lane, endpoint: endpoint})
	for range n {
		seq := uint64(q.rows) + 1
		q.push(entry{waiting: waiting{queue: q.id, size: 10, since: int64(seq)}, seq: seq})
	}
	return q
}

func endpoints(entries []entry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, e.queue.endpoint)
	}
	return names
}

func TestEndpointsTakeTurns(t *testing.T) {
	t.Parallel()
	s := newScheduler()
	s.pushMany("a", domain.LaneLow, 100)
	s.pushMany("b", domain.LaneLow, 2)
	s.pushMany("c", domain.LaneLow, 100)
	take := func(n int, limits map[string]int) []string {
		return endpoints(s.take(ports.Credit{Count: n, Bytes: 1 << 20, Endpoints: limits}))
	}
	require.Equal(t, []string{"a", "b"}, take(2, nil))
	require.Equal(t, []string{"c", "a", "b", "c", "a", "c"}, take(6, nil), "from where the last one ended")
	require.Equal(t, []string{"c", "c"}, take(2, map[string]int{"a": 0}))
	require.Equal(t, []string{"a", "c", "c", "c"}, take(4, map[string]int{"a": 1}))
	require.Empty(t, take(4, map[string]int{"a": 0, "c": 0}))
}

func TestWhatIsHandedBackGoesFirst(t *testing.T) {
	t.Parallel()
	s := newScheduler()
	s.pushMany("a", domain.LaneHigh, 100)
	late := s.pushMany("b", domain.LaneLow, 100)
	returned := late.lease()
	late.handBack(returned)
	one := ports.Credit{Count: 1, Bytes: 1 << 20}
	refused := ports.Credit{Count: 1, Bytes: 1 << 20, Endpoints: map[string]int{"b": 0}}
	require.Equal(t, []string{"a"}, endpoints(s.take(refused)), "without credit it waits")
	taken := s.take(one)
	require.Equal(t, []string{"b"}, endpoints(taken))
	require.Equal(t, returned.seq, taken[0].seq)
	require.Equal(t, []string{"a"}, endpoints(s.take(one)))
}

func TestALaneOnDiskIsNotOvertaken(t *testing.T) {
	t.Parallel()
	s := newScheduler()
	high := s.pushMany("a", domain.LaneHigh, windowMax+10)
	low := s.pushMany("a", domain.LaneLow, windowMax+10)
	all := ports.Credit{Count: 10000, Bytes: 1 << 20}
	taken := s.take(all)
	require.Empty(t, high.window)
	require.EqualValues(t, 10, high.waiting())
	// Counted, not looked at with require.Len, which would print every entry.
	n := len(taken)
	require.Equal(t, windowMax+windowMax/(domain.LowLaneShare-1), n, "it ends where the high lane must be read")
	require.NotEmpty(t, low.window)
	require.Empty(t, s.take(all))

	refused := all
	refused.Endpoints = map[string]int{"a": 0}
	s.pushMany("b", domain.LaneLow, 3)
	require.Equal(t, []string{"b", "b", "b"}, endpoints(s.take(refused)), "nobody waits for what is refused")
}

func TestAQueueKeepsAWindowInMemory(t *testing.T) {
	t.Parallel()
	s := newScheduler()
	q := s.pushMany("a", domain.LaneLow, 3*windowMax)
	require.Len(t, q.window, windowMax)
	require.EqualValues(t, windowMax, q.loaded)
	first := q.lease()
	q.lease()
	q.push(entry{seq: 9999})
	require.Len(t, q.window, windowMax-2, "what comes later waits on disk behind the rest")
	q.handBack(first)
	first.returned = true
	require.Equal(t, first, q.window[0])
	q.remove(q.window[5].seq)
	q.remove(2 * windowMax) // on disk
	require.Len(t, q.window, windowMax-2)
	require.EqualValues(t, 3*windowMax+1-2-1, q.waiting())
}

func TestAQueueRemembersWhereItsRowsBegin(t *testing.T) {
	t.Parallel()
	const n = 3000
	c := newClock()
	opts := testOptions(t.TempDir(), c.Now)
	db := open(t, opts)
	w := consume(t, db)
	reqs := make([]domain.Request, n)
	for i := range reqs {
		reqs[i] = newRequest(c.Now())
	}
	accept(t, db, reqs...)
	for left := n - 100; left > 0; {
		deliveries := receive(t, w, min(left, 20))
		for _, d := range deliveries {
			finish(t, w, d, outcome(domain.Completed, c.Now()))
		}
		left -= len(deliveries)
	}
	require.NoError(t, db.Close())
	db = open(t, opts)
	db.requireConsistent(t)
	var from uint64
	require.NoError(t, db.do(t.Context(), 0, func(*txn) error {
		from = db.scheduler.queue(queueID{lane: domain.LaneLow, endpoint: "orders"}).from
		return nil
	}))
	require.Greater(t, from, uint64(n-windowMax), "the first read walks over few tombstones")
}
