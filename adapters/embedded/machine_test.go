package embedded

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// TestTheDatabaseBehavesLikeItsModel does random things to a database and to a simple model of it, with more requests
// in a queue than its window in memory holds.
func TestTheDatabaseBehavesLikeItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		defer m.close(t)
		t.Repeat(map[string]func(*rapid.T){
			"accept":  m.accept,
			"crowd":   m.acceptCrowd,
			"receive": m.receive,
			"finish":  m.finish,
			"stale":   m.finishStale,
			"cancel":  m.cancel,
			"purge":   m.purge,
			"crash":   m.crash,
			"wait":    m.wait,
			"reopen":  m.reopen,
			"":        m.check,
		})
	})
}

// machine is a database under test beside its model.
type machine struct {
	model

	dir       string
	db        *DB
	clock     *clock
	consumers []*mortal // those alive
}

// mortal is a consumer of the database that can be killed.
type mortal struct {
	*Consumer

	kill func()
}

// immortal is a lifetime that no run of the machine lives to see the end of.
const immortal = 1000 * time.Hour

func newMachine(t *rapid.T) *machine {
	dir, err := os.MkdirTemp("", "openhqm-model-*")
	require.NoError(t, err)
	m := &machine{dir: dir, clock: newClock()}
	m.model = model{requests: make(map[domain.ID]*modelled)}
	m.open(t)
	return m
}

func (m *machine) open(t *rapid.T) {
	opts := testOptions(m.dir, m.clock.Now)
	opts.TTL, opts.DeadLetterTTL = immortal, immortal
	db, err := Open(opts)
	require.NoError(t, err)
	m.db, m.consumers = db, []*mortal{newMortal(db), newMortal(db)}
}

func newMortal(db *DB) *mortal {
	ctx, cancel := context.WithCancel(context.Background())
	c, wait := db.NewConsumer(ctx)
	return &mortal{Consumer: c, kill: func() {
		cancel()
		wait()
	}}
}

func (m *machine) close(t *rapid.T) {
	m.db.requireConsistent(t)
	require.NoError(t, m.db.Close())
	for _, c := range m.consumers {
		c.kill()
	}
	require.NoError(t, os.RemoveAll(m.dir))
}

func (m *machine) accept(t *rapid.T) {
	m.acceptMany(t, rapid.IntRange(1, 5).Draw(t, "n"), rapid.Bool().Draw(t, "short"))
}

// acceptCrowd takes in more than a window holds.
func (m *machine) acceptCrowd(t *rapid.T) {
	m.acceptMany(t, rapid.IntRange(1, 2*windowMax).Draw(t, "n"), false)
}

func (m *machine) acceptMany(t *rapid.T, n int, short bool) {
	endpoint := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "endpoint")
	priority := rapid.SampledFrom([]int{0, 9}).Draw(t, "priority")
	delay := rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, 3 * time.Second}).Draw(t, "delay")
	reqs := make([]domain.Request, n)
	for i := range reqs {
		r := newRequest(m.clock.Now())
		r.Endpoint, r.Priority = endpoint, priority
		r.Deadline = m.clock.Now().Add(immortal)
		if short {
			r.Deadline = m.clock.Now().Add(time.Minute)
		}
		if delay > 0 {
			r.NotBefore = m.clock.Now().Add(delay * time.Duration(i%3))
		}
		reqs[i] = r
		m.accepted(m.clock.Now(), &r)
	}
	accept(t, m.db, reqs...)
}

func (m *machine) receive(t *rapid.T) {
	who := m.consumers[rapid.IntRange(0, 1).Draw(t, "consumer")]
	credit := ports.Credit{Count: rapid.SampledFrom([]int{1, 7, 64, 600}).Draw(t, "count"), Bytes: 1 << 30}
	for _, endpoint := range []string{"a", "b"} {
		if rapid.IntRange(0, 2).Draw(t, "limited") == 0 {
			credit.Endpoints = map[string]int{endpoint: rapid.IntRange(0, 3).Draw(t, "limit")}
		}
	}
	if !m.available(credit) {
		_, err := who.Receive(ended(), credit)
		require.ErrorIs(t, err, context.Canceled)
		return
	}
	deliveries, err := who.Receive(context.Background(), credit)
	require.NoError(t, err)
	m.received(t, who, credit, deliveries)
}

// finish ends some of what is leased, in one call.
func (m *machine) finish(t *rapid.T) {
	leased := m.leased()
	if len(leased) == 0 {
		t.Skip("nothing is leased")
	}
	now := m.clock.Now()
	var finishes []ports.Finish
	for _, r := range leased[:rapid.IntRange(1, len(leased)).Draw(t, "n")] {
		out := outcome(domain.Completed, now)
		switch rapid.IntRange(0, 4).Draw(t, "outcome") {
		case 0:
			out = outcome(domain.Failed, now)
		case 1:
			out = outcome(domain.Pending, now)
			out.Response = &domain.Response{StatusCode: 503}
		case 2:
			out = outcome(domain.Pending, now)
			out.NextAttemptAt = now.Add(rapid.SampledFrom([]time.Duration{1, time.Second, time.Hour}).Draw(t, "delay"))
		}
		out.Attempts = r.attempts + 1
		finishes = append(finishes, ports.Finish{ID: r.id, Token: r.token, Outcome: out})
		m.finished(now, r, out)
	}
	for _, err := range m.consumers[0].Finish(context.Background(), finishes) {
		require.NoError(t, err)
	}
}

func (m *machine) finishStale(t *rapid.T) {
	if len(m.order) == 0 {
		t.Skip("no request")
	}
	r := m.requests[rapid.SampledFrom(m.order).Draw(t, "id")]
	token := rapid.SampledFrom(append(r.oldTokens, "", "0")).Draw(t, "token")
	err := m.consumers[0].Finish(context.Background(), []ports.Finish{{
		ID: r.id, Token: token, Outcome: outcome(domain.Completed, m.clock.Now()),
	}})[0]
	require.ErrorIs(t, err, ports.ErrLost)
}

func (m *machine) cancel(t *rapid.T) {
	if len(m.order) == 0 {
		t.Skip("no request")
	}
	for range rapid.IntRange(1, 30).Draw(t, "n") {
		r := m.requests[rapid.SampledFrom(m.order).Draw(t, "id")]
		record, err := m.db.Cancel(context.Background(), r.id)
		if r.status != domain.Pending && r.status != domain.Cancelled {
			require.ErrorIs(t, err, ports.ErrConflict)
		} else {
			require.NoError(t, err)
			r.status = domain.Cancelled
		}
		require.Equal(t, r.status, record.Status)
	}
}

// purge deletes the dead letters of some requests, whether there are any or not.
func (m *machine) purge(t *rapid.T) {
	if len(m.order) == 0 {
		t.Skip("no request")
	}
	for range rapid.IntRange(1, 30).Draw(t, "n") {
		r := m.requests[rapid.SampledFrom(m.order).Draw(t, "id")]
		err := m.db.DeadLetters().Delete(context.Background(), r.id)
		if r.purged || !r.status.DeadLettered() {
			require.ErrorIs(t, err, ports.ErrNotFound)
			continue
		}
		require.NoError(t, err)
		r.purged = true
	}
}

func (m *machine) crash(t *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(t, "consumer")
	m.consumers[i].kill()
	m.crashed(m.consumers[i], m.clock.Now().Add(testLease))
	m.consumers[i] = newMortal(m.db)
}

func (m *machine) wait(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{
		time.Millisecond, time.Second, testLease, 30 * time.Second, 2 * time.Minute, 2 * time.Hour,
	}).Draw(t, "time")
	m.clock.advance(t, m.db, d)
	m.passed(m.clock.Now())
}

func (m *machine) reopen(t *rapid.T) {
	m.db.requireConsistent(t)
	require.NoError(t, m.db.Close())
	for _, c := range m.consumers {
		c.kill()
	}
	m.reopened()
	m.open(t)
}

// check compares what can be seen.
func (m *machine) check(t *rapid.T) {
	got, err := m.db.Depths(context.Background())
	require.NoError(t, err)
	got.OldestReady = time.Time{}
	require.Equal(t, m.depths(), got)
	for _, id := range m.order[max(0, len(m.order)-5):] {
		record, err := m.db.State(context.Background(), id)
		require.NoError(t, err)
		r := m.requests[id]
		require.Equal(t, r.status, record.Status)
		require.Equal(t, r.attempts, record.Attempts)
		require.Equal(t, r.deliveries, record.Deliveries)
	}
}
