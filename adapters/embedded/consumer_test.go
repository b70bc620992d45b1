package embedded

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

var oneDelivery = ports.Credit{Count: 1, Bytes: 1 << 20}

// stall holds the committer up, as a disk would, until the returned function is called.
func stall(t *testing.T, db *DB) (release func()) {
	t.Helper()
	stalled, resume := make(chan struct{}), make(chan struct{})
	require.NoError(t, db.send(t.Context(), newOp(func(*txn) error {
		close(stalled)
		<-resume
		return nil
	})))
	<-stalled
	return func() { close(resume) }
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestAStalledDiskTakesNoDeliveryAway(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	accept(t, db, newRequest(c.Now()))
	d := receive(t, w, 1)[0]
	release := stall(t, db)
	c.mu.Lock()
	c.now = c.now.Add(100 * testLease)
	c.mu.Unlock()
	release()
	finish(t, w, d, outcome(domain.Completed, c.Now()))
	require.NoError(t, d.Lease.Err())
}

func TestLeasesOfAConsumerThatEndedRunOut(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	ctx, kill := context.WithCancel(t.Context())
	dying, wait := db.NewConsumer(ctx)
	accept(t, db, newRequest(c.Now()), newRequest(c.Now()))
	held := receive(t, dying, 2)
	kill()
	wait()
	c.advance(t, db, testLease-time.Millisecond)
	require.NoError(t, held[0].Lease.Err())
	finish(t, dying, held[0], outcome(domain.Completed, c.Now())) // in time: it is a drain

	c.advance(t, db, time.Millisecond)
	require.ErrorIs(t, context.Cause(held[1].Lease), ports.ErrLost)
	require.ErrorIs(t, tryFinish(dying, held[1], outcome(domain.Completed, c.Now())), ports.ErrLost)
	record, err := db.State(t.Context(), held[1].Request.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Pending, record.Status)
	db.requireConsistent(t)
	require.Equal(t, 2, receive(t, consume(t, db), 1)[0].Deliveries)
}

func TestAConsumerThatEndedGetsNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	before, wait := db.NewConsumer(ended())
	wait()
	_, err := before.Receive(t.Context(), oneDelivery)
	require.ErrorIs(t, err, ports.ErrClosed)

	ctx, kill := context.WithCancel(t.Context())
	dying, wait := db.NewConsumer(ctx)
	answers := make(chan error)
	go func() {
		_, err := dying.Receive(context.WithoutCancel(ctx), oneDelivery)
		answers <- err
	}()
	kill()
	wait()
	require.ErrorIs(t, <-answers, ports.ErrClosed)
	accept(t, db, newRequest(c.Now()))
	require.Equal(t, 1, receive(t, consume(t, db), 1)[0].Deliveries)
}

// TestASlowHolderDoesNotGetTheTokenOfTheNext stops a Receive between begin and answer until another has taken over.
func TestASlowHolderDoesNotGetTheTokenOfTheNext(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	ctx, kill := context.WithCancel(t.Context())
	slow, wait := db.NewConsumer(ctx)
	accept(t, db, newRequest(c.Now()))
	r := &receiver{consumer: slow, credit: oneDelivery, done: make(chan struct{})}
	require.NoError(t, db.do(t.Context(), 0, func(*txn) error {
		db.receivers = append(db.receivers, r)
		return nil
	}))
	<-r.done
	kill()
	wait()
	c.advance(t, db, testLease)
	next := receive(t, consume(t, db), 1)[0]

	late, err := slow.deliveries(r)
	require.NoError(t, err)
	require.Len(t, late, 1)
	require.Equal(t, 1, late[0].Deliveries)
	require.NotEqual(t, next.Token, late[0].Token)
	require.Error(t, late[0].Lease.Err())
	require.ErrorIs(t, tryFinish(slow, late[0], outcome(domain.Completed, c.Now())), ports.ErrLost)
	finish(t, slow, next, outcome(domain.Completed, c.Now()))
}

// giveUp makes a call while the committer is busy, and ends its context when it waits. So what it asks is done later.
func giveUp(t *testing.T, db *DB, call func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	before, done := len(db.ops), make(chan struct{})
	go func() {
		defer close(done)
		call(ctx)
	}()
	require.Eventually(t, func() bool { return len(db.ops) > before }, time.Minute, time.Millisecond)
	cancel()
	<-done
}

func TestACallerThatStopsWaitingMayReuseItsArguments(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	accept(t, db, newRequest(c.Now()))
	d := receive(t, w, 1)[0]
	reqs := []domain.Request{newRequest(c.Now(), withKey("k", c.Now().Add(time.Hour)))}
	want := reqs[0]
	want.Idempotency = nil
	finishes := []ports.Finish{{ID: d.Request.ID, Token: d.Token, Outcome: outcome(domain.Completed, c.Now())}}

	release := stall(t, db)
	var accepted []ports.Accepted
	giveUp(t, db, func(ctx context.Context) { accepted = db.Accept(ctx, reqs) })
	reqs[0].Idempotency.Key = "changed"
	reqs[0] = newRequest(c.Now(), withKey("other", c.Now()))
	var finished []error
	giveUp(t, db, func(ctx context.Context) { finished = w.Finish(ctx, finishes) })
	finishes[0] = ports.Finish{}
	giveUp(t, db, func(ctx context.Context) {
		depths, err := db.Depths(ctx)
		assert.True(t, errors.Is(err, ports.ErrUnavailable) && depths == ports.Depths{}, "%v %v", depths, err)
	})
	giveUp(t, db, func(ctx context.Context) {
		_, err := db.Cancel(ctx, d.Request.ID)
		assert.ErrorIs(t, err, ports.ErrUnavailable)
	})
	release()

	require.Equal(t, want, receive(t, w, 1)[0].Request)
	require.ErrorIs(t, accepted[0].Err, ports.ErrUnavailable, "what was answered stays so")
	require.ErrorIs(t, finished[0], ports.ErrUnavailable)
	record, err := db.State(t.Context(), d.Request.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, record.Status)
	db.requireConsistent(t)
}

func TestWhatCannotBeReadIsADeadLetter(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	lost, garbled, whole := newRequest(c.Now()), newRequest(c.Now()), newRequest(c.Now())
	accept(t, db, lost, garbled)
	for _, d := range receive(t, w, 2) {
		finish(t, w, d, outcome(domain.Pending, c.Now())) // one attempt each
	}
	require.NoError(t, db.kv.Delete(idKey(prefixRequest, lost.ID), nil))
	require.NoError(t, db.kv.Set(idKey(prefixRequest, garbled.ID), []byte{codecVersion, 255}, nil))

	answers := make(chan []ports.Delivery, 1)
	go func() {
		deliveries, _ := w.Receive(context.Background(), ports.Credit{Count: 10, Bytes: 1 << 20})
		answers <- deliveries
	}()
	for _, r := range []domain.Request{lost, garbled} {
		_, err := db.Wait(t.Context(), r.ID)
		require.NoError(t, err)
		record, err := db.Find(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, domain.Failed, record.Status)
		require.Equal(t, domain.ReasonUndecodable, record.Result.Reason)
		require.Equal(t, 1, record.Attempts)
	}
	accept(t, db, whole)
	got := <-answers
	require.Len(t, got, 1, "Receive goes on until it has something to hand out")
	require.Equal(t, whole.ID, got[0].Request.ID)
}

func TestADamagedQueueStopsTheDatabase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(*DB, domain.ID) error
	}{
		{"a queue entry without a record", func(db *DB, id domain.ID) error {
			return db.kv.Delete(idKey(prefixRecord, id), nil)
		}},
		{"a record that does not decode", func(db *DB, id domain.ID) error {
			return db.kv.Set(idKey(prefixRecord, id), []byte{0}, nil)
		}},
		{"fewer entries than were counted", func(db *DB, _ domain.ID) error {
			return db.kv.DeleteRange([]byte{prefixReady}, []byte{prefixReady + 1}, nil)
		}},
		{"an entry that does not decode", func(db *DB, _ domain.ID) error {
			return db.kv.Set(readyKey(queueID{lane: domain.LaneLow, endpoint: "orders"}, 1), []byte{9}, nil)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			opts := testOptions(t.TempDir(), c.Now)
			db := open(t, opts)
			request := newRequest(c.Now())
			accept(t, db, request)
			require.NoError(t, tt.damage(db, request.ID))
			require.NoError(t, db.Close())

			db = open(t, opts)
			_, err := consume(t, db).Receive(t.Context(), oneDelivery)
			require.Error(t, err)
			<-db.Done()
			require.ErrorIs(t, db.Err(), errCorrupt)
			require.ErrorIs(t, db.Accept(t.Context(), []domain.Request{newRequest(c.Now())})[0].Err, ports.ErrUnavailable)
			_, err = db.Depths(t.Context())
			require.ErrorIs(t, err, ports.ErrUnavailable)
		})
	}
}
