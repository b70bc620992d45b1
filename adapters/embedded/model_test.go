package embedded

import (
	"cmp"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// model is what a database should do, said as plainly as can be: everything in one map, nothing on disk.
type model struct {
	requests map[domain.ID]*modelled
	order    []domain.ID
	lastSeq  int
}

// modelled is one request.
type modelled struct {
	id         domain.ID
	queue      queueID
	status     domain.Status
	attempts   int
	deliveries int
	answered   bool
	purged     bool // its dead letter was deleted

	seq     int       // orders its queue
	due     time.Time // zero: ready
	expires time.Time // when its deadline is looked at

	holder    *mortal // nil: nobody's
	leaseEnds time.Time
	token     string
	oldTokens []string
}

func (r *modelled) ready() bool { return !r.status.Final() && r.holder == nil && r.due.IsZero() }

func (m *model) accepted(now time.Time, req *domain.Request) {
	r := &modelled{
		id: req.ID, queue: queueID{lane: req.Lane(), endpoint: req.Endpoint}, status: domain.Pending,
		expires: req.Deadline.Add(expiryGrace),
	}
	m.requests[r.id] = r
	m.order = append(m.order, r.id)
	m.enqueue(now, r, req.NotBefore)
}

func (m *model) enqueue(now time.Time, r *modelled, at time.Time) {
	m.lastSeq++
	r.seq, r.due = m.lastSeq, time.Time{}
	if at.After(now) {
		r.due = at.Add(time.Millisecond - 1).Truncate(time.Millisecond)
	}
}

// some returns the requests that the condition names, in the order of their queues.
func (m *model) some(condition func(*modelled) bool) []*modelled {
	var out []*modelled
	for _, r := range m.requests {
		if condition(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *modelled) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

func (m *model) leased() []*modelled {
	return m.some(func(r *modelled) bool { return r.holder != nil })
}

// available reports whether there is something to hand out within the credit.
func (m *model) available(credit ports.Credit) bool {
	return len(m.some(func(r *modelled) bool {
		n, limited := credit.Endpoints[r.queue.endpoint]
		return r.ready() && (!limited || n > 0)
	})) > 0
}

// received checks what was handed out: of each queue the first ones, and no more than the credit allows.
func (m *model) received(t *rapid.T, who *mortal, credit ports.Credit, deliveries []ports.Delivery) {
	require.NotEmpty(t, deliveries)
	require.LessOrEqual(t, len(deliveries), credit.Count)
	waiting := make(map[queueID][]*modelled)
	for _, r := range m.some((*modelled).ready) {
		waiting[r.queue] = append(waiting[r.queue], r)
	}
	endpoints := make(map[string]int)
	for _, d := range deliveries {
		queue := queueID{lane: d.Request.Lane(), endpoint: d.Request.Endpoint}
		require.NotEmpty(t, waiting[queue])
		r := waiting[queue][0]
		waiting[queue] = waiting[queue][1:]
		require.Equal(t, r.id, d.Request.ID)
		require.Equal(t, r.attempts, d.Attempts)
		require.Equal(t, r.answered, d.Answered)
		r.deliveries++
		require.Equal(t, r.deliveries, d.Deliveries)
		require.NotContains(t, append(r.oldTokens, r.token), d.Token)
		r.oldTokens = append(r.oldTokens, r.token)
		r.status, r.holder, r.token, r.leaseEnds = domain.Processing, who, d.Token, time.Time{}
		endpoints[queue.endpoint]++
	}
	for endpoint, limit := range credit.Endpoints {
		require.LessOrEqual(t, endpoints[endpoint], limit)
	}
}

func (m *model) finished(now time.Time, r *modelled, out domain.Outcome) {
	r.status, r.attempts, r.deliveries, r.holder = out.Status, out.Attempts, 0, nil
	r.answered = r.answered || out.Response != nil
	r.oldTokens, r.token = append(r.oldTokens, r.token), ""
	if out.Status == domain.Pending && out.NextAttemptAt.After(out.At) {
		m.enqueue(now, r, out.NextAttemptAt)
	}
}

func (m *model) crashed(who *mortal, leaseEnds time.Time) {
	for _, r := range m.leased() {
		if r.holder == who {
			r.leaseEnds = leaseEnds
		}
	}
}

// reopened frees what was held: it waits again.
func (m *model) reopened() {
	for _, r := range m.leased() {
		r.status, r.holder = domain.Pending, nil
		r.oldTokens, r.token = append(r.oldTokens, r.token), ""
	}
}

// passed lets happen what is due by now: delays end, then deadlines, then leases.
func (m *model) passed(now time.Time) {
	due := m.some(func(r *modelled) bool { return !r.status.Final() && !r.due.IsZero() && !r.due.After(now) })
	slices.SortStableFunc(due, func(a, b *modelled) int { return a.due.Compare(b.due) })
	for _, r := range due {
		m.enqueue(now, r, now)
	}
	for _, r := range m.some(func(r *modelled) bool { return !r.status.Final() && !r.expires.After(now) }) {
		switch {
		case r.holder != nil:
			r.expires = now.Add(testLease)
		case r.answered:
			r.status = domain.Failed
		default:
			r.status = domain.TimedOut
		}
	}
	for _, r := range m.leased() {
		if !r.leaseEnds.IsZero() && !r.leaseEnds.After(now) {
			r.status, r.holder = domain.Pending, nil
			r.oldTokens, r.token = append(r.oldTokens, r.token), ""
		}
	}
}

func (m *model) depths() ports.Depths {
	var d ports.Depths
	for _, r := range m.requests {
		switch {
		case r.purged:
		case r.status.DeadLettered():
			d.DeadLetters++
		case r.status.Final():
		case r.holder != nil:
			d.Leased++
		case !r.due.IsZero():
			d.Delayed++
		default:
			d.Ready++
		}
	}
	return d
}
