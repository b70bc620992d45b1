package embedded

import (
	"cmp"
	"slices"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// A queue keeps its first waiting entries in memory and the rest only on disk, so that a million waiting requests take
// no more memory than a thousand.
const (
	windowMax   = 512
	refillBelow = 64 // one Receive's worth
)

// queueID names the queue of one endpoint in one lane. Each endpoint has its own queues, so that work for a refused
// endpoint is not even read.
type queueID struct {
	lane     domain.Lane
	endpoint string
}

// entry is a waiting request as the scheduler knows it.
type entry struct {
	waiting

	seq uint64
}

// queue is the ready requests of one endpoint in one lane. A begun request keeps its ready row until it is finished, so
// that it is ready again after a crash.
type queue struct {
	id     queueID
	rows   int64 // ready rows, those of begun requests included
	leased int64
	window []entry // the first waiting entries, by sequence
	loaded uint64  // all waiting entries up to this sequence are in the window
	from   uint64  // no ready row has a smaller sequence: iterators begin here, behind the tombstones
}

func (q *queue) waiting() int64 { return q.rows - q.leased }

// push adds an entry whose row is new. It stays on disk while earlier entries are only on disk.
func (q *queue) push(e entry) {
	if q.waiting() == int64(len(q.window)) && len(q.window) < windowMax {
		q.window = append(q.window, e)
		q.loaded = e.seq
	}
	q.rows++
}

// lease removes and returns the first entry of the window.
func (q *queue) lease() entry {
	e := q.window[0]
	q.window = q.window[1:]
	q.leased++
	return e
}

// finish forgets a leased entry. The caller deletes its row.
func (q *queue) finish() {
	q.rows--
	q.leased--
}

// handBack undoes lease.
func (q *queue) handBack(e entry) {
	at, _ := slices.BinarySearchFunc(q.window, e.seq, compareSeq)
	q.window = slices.Insert(q.window, at, e)
	q.leased--
}

// remove forgets a waiting entry. The caller deletes its row.
func (q *queue) remove(seq uint64) {
	if at, found := slices.BinarySearchFunc(q.window, seq, compareSeq); found {
		q.window = slices.Delete(q.window, at, at+1)
	}
	q.rows--
}

func compareSeq(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) }

func encodeQueue(q *queue) []byte {
	e := newEncoder(24)
	e.int(q.rows)
	e.uint(q.from)
	return e.buf
}

func decodeQueue(id queueID, value []byte) (*queue, error) {
	d := newDecoder(value)
	q := &queue{id: id, rows: d.int(), from: d.uint()}
	if q.from > 0 {
		q.loaded = q.from - 1
	}
	return q, d.end("queue")
}

// scheduler chooses the next delivery: the lane by domain.LaneTurn, and within a lane the endpoints in turn.
type scheduler struct {
	queues map[queueID]*queue
	lanes  [domain.LaneCount][]*queue
	turn   [domain.LaneCount]int // where the next round over the lane's endpoints begins
	lane   domain.LaneTurn
}

func newScheduler() *scheduler {
	return &scheduler{queues: make(map[queueID]*queue)}
}

func (s *scheduler) add(q *queue) {
	s.queues[q.id] = q
	s.lanes[q.id.lane] = append(s.lanes[q.id.lane], q)
}

// queue returns the queue with that id, a new one if need be. Endpoints come from the configuration, so there are few.
func (s *scheduler) queue(id queueID) *queue {
	q := s.queues[id]
	if q == nil {
		q = &queue{id: id}
		s.add(q)
	}
	return q
}

// waits reports whether an entry is in memory that could be leased.
func (s *scheduler) waits() bool {
	for _, q := range s.queues {
		if len(q.window) > 0 {
			return true
		}
	}
	return false
}

// take leases entries, as many as the credit allows.
func (s *scheduler) take(credit ports.Credit) []entry {
	var taken []entry
	left := ports.NewAllowance(credit)
	for {
		q := s.next(left)
		if q == nil || !left.Fits(q.window[0].size) {
			return taken
		}
		e := q.lease()
		s.took(q)
		left.Charge(q.id.endpoint, e.size)
		taken = append(taken, e)
	}
}

// next returns the queue whose first entry goes next, or nil. A lane whose entries are all on disk still has its turn:
// it is read in the next group, and the other lane does not overtake it meanwhile.
func (s *scheduler) next(left *ports.Allowance) *queue {
	for _, lane := range s.lane.Order() {
		if q, waits := s.first(lane, left); waits {
			return q
		}
	}
	return nil
}

// first returns the next endpoint in turn that has something in memory and credit; nil: there is none. It reports
// whether anything waits that has credit, even if only on disk.
func (s *scheduler) first(lane domain.Lane, left *ports.Allowance) (q *queue, waits bool) {
	queues := s.lanes[lane]
	for i := range queues {
		q := queues[(s.turn[lane]+i)%len(queues)]
		if q.waiting() == 0 || left.Refuses(q.id.endpoint) {
			continue
		}
		if waits = true; len(q.window) > 0 {
			return q, true
		}
	}
	return nil, waits
}

// took passes the turn to the queue after the one that was served.
func (s *scheduler) took(q *queue) {
	lane := q.id.lane
	s.turn[lane] = slices.Index(s.lanes[lane], q) + 1
	s.lane.Took(lane)
}

// needsRefill reports whether a queue has entries on disk that should be in its window.
func (q *queue) needsRefill() bool {
	return len(q.window) < refillBelow && q.waiting() > int64(len(q.window))
}

// oldest returns when the longest waiting request became ready; zero when none waits.
func (s *scheduler) oldest() time.Time {
	var oldest int64
	for _, q := range s.queues {
		if len(q.window) > 0 && (oldest == 0 || q.window[0].since < oldest) {
			oldest = q.window[0].since
		}
	}
	if oldest == 0 {
		return time.Time{}
	}
	return time.UnixMilli(oldest)
}
