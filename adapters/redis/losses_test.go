package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// endLost ends what was lost before a time, and returns how many requests that were.
func endLost(t *testing.T, db *redis.DB, before time.Time) int {
	t.Helper()
	ended, err := db.EndLost(t.Context(), before, 100)
	require.NoError(t, err)
	return ended
}

func requireState(t *testing.T, db *redis.DB, id domain.ID, want domain.Status) domain.Record {
	t.Helper()
	rec, err := db.Find(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, rec.Status)
	return rec
}

// serverTime is what a Redis takes for now.
func serverTime(t *testing.T, s *server) time.Time {
	t.Helper()
	now, err := s.client().Time(t.Context()).Result()
	require.NoError(t, err)
	return now
}

func TestOnlyWhatACarrierAloneHasCanBeLost(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 3} {
		opts := options("")
		opts.Shards = shards
		onlyWhatACarrierAloneHas(t, opts)
	}
}

func onlyWhatACarrierAloneHas(t *testing.T, opts redis.Options) {
	t.Helper()
	s := startServer(t)
	opts.URL = s.url()
	db := openDB(t, opts)
	c := consume(t, db)
	waiting, begun, kept, native, retried := newRequest(), newRequest(), newRequest(), newRequest(), newRequest()
	for _, r := range []domain.Request{waiting, begun, kept, retried} {
		create(t, db, r)
	}
	accept(t, db, native)
	beginNow(t, c, begun)
	keepIt(t, db, kept)
	finishCarried(t, c, beginNow(t, c, retried), domain.Outcome{
		Status: domain.Pending, Attempts: 1, NextAttemptAt: time.Now().Add(time.Hour),
	})

	require.Zero(t, endLost(t, db, time.Now().Add(-time.Hour)), "they are younger")
	require.Equal(t, 1, endLost(t, db, serverTime(t, s).Add(time.Millisecond)))
	require.Zero(t, endLost(t, db, serverTime(t, s).Add(time.Millisecond)))

	rec := requireState(t, db, waiting.ID, domain.Failed)
	require.Equal(t, domain.ReasonLost, rec.Result.Reason)
	require.Contains(t, rec.Result.Error, "there is no original")
	letter, err := db.DeadLetters().Find(t.Context(), waiting.ID)
	require.NoError(t, err)
	require.Nil(t, letter.Request)
	require.Equal(t, domain.ReasonLost, letter.Reason)
	requireState(t, db, begun.ID, domain.Processing)
	for _, r := range []domain.Request{kept, native, retried} {
		requireState(t, db, r.ID, domain.Pending)
	}
}

func TestAMessageThatComesAfterItsRequestWasLostIsNotBegun(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	c, r := consume(t, db), newRequest()
	create(t, db, r)
	require.Equal(t, 1, endLost(t, db, serverTime(t, s).Add(time.Millisecond)))

	require.Equal(t, ports.BegunKeep, begin(t, c, arrival(r, "late")).Verdict)
	keepIt(t, db, r)
	require.Equal(t, ports.BegunDone, begin(t, c, arrival(r, "again")).Verdict)

	letter, err := db.DeadLetters().Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, r.Body, letter.Request.Body, "now there is one")
	requireState(t, db, r.ID, domain.Failed)
	require.Greater(t, s.client().PTTL(t.Context(), "{openhqm-requests}:r:"+string(r.ID)).Val(),
		time.Until(r.Deadline), "for as long as a broker may keep the message")
}

func TestWhatADeadWorkerHadIsLostWhenItsMessageIs(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.Lease = time.Second
	db := openDB(t, opts)
	life, die := context.WithCancel(t.Context())
	defer die()
	worker, wait := db.NewConsumer(life)
	r := newRequest()
	create(t, db, r)
	d := beginNow(t, worker, r)
	soon := time.Now().Add(opts.Lease / 2)
	require.Zero(t, endLost(t, db, soon), "its lease ends later")

	die()
	wait()
	require.Eventually(t, func() bool { return endLost(t, db, time.Now().Add(time.Hour)) == 1 },
		patience, 10*time.Millisecond, "once its lease is over for good")

	requireState(t, db, r.ID, domain.Failed)
	err := worker.Finish(t.Context(), []ports.Finish{{ID: r.ID, Token: d.Token, Outcome: domain.Outcome{
		Status: domain.Completed, At: time.Now(),
	}}})[0]
	require.ErrorIs(t, err, ports.ErrLost)
}

func TestOneProcessLooksForWhatIsLost(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	first, second := openDB(t, options(s.url())), openDB(t, options(s.url()))
	suspects := func(db *redis.DB, age time.Duration) time.Time {
		before, err := db.Suspects(t.Context(), age)
		require.NoError(t, err)
		return before
	}
	require.Zero(t, suspects(first, 0))
	r := newRequest()
	r.SubmittedAt = r.SubmittedAt.Add(-2 * time.Hour) // the clock of the process that accepted it does not count
	create(t, first, r)
	require.Zero(t, suspects(first, time.Hour), "it is too young")
	require.Zero(t, s.client().Exists(t.Context(), "{openhqm-requests}:losses").Val())

	var before time.Time
	require.Eventually(t, func() bool {
		before = suspects(first, time.Millisecond)
		return !before.IsZero()
	}, patience, time.Millisecond)
	require.WithinRange(t, before, serverTime(t, s).Add(-patience), serverTime(t, s))
	require.Zero(t, suspects(second, 0))
	require.NoError(t, s.client().PExpire(t.Context(), "{openhqm-requests}:losses", time.Millisecond).Err())
	require.Eventually(t, func() bool { return !suspects(second, 0).IsZero() }, patience, time.Millisecond)
	require.Zero(t, suspects(first, 0))

	require.Equal(t, 1, endLost(t, second, serverTime(t, s).Add(time.Millisecond)))
	require.Zero(t, suspects(second, 0))
}

func TestARepeatThatPublishesAgainIsNoSuspect(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	r, other, repeat := newRequest(), newRequest(), newRequest()
	r.Idempotency = &domain.Idempotency{Key: "key", ExpiresAt: time.Now().Add(time.Hour)}
	repeat.Idempotency = r.Idempotency
	create(t, db, r)
	create(t, db, other)
	created := serverTime(t, s)
	var before time.Time
	require.Eventually(t, func() bool {
		before = serverTime(t, s)
		return before.Sub(created) > time.Millisecond
	}, patience, time.Millisecond)

	again := db.Create(t.Context(), []ports.Creation{{Request: repeat, Carried: true}})[0]
	require.NoError(t, again.Err)
	require.True(t, again.Unpublished)
	require.Equal(t, r.ID, again.Record.ID)

	require.Equal(t, 1, endLost(t, db, before))
	requireState(t, db, other.ID, domain.Failed)
	requireState(t, db, r.ID, domain.Pending)
	require.Equal(t, 1, endLost(t, db, serverTime(t, s).Add(time.Millisecond)))
}

func TestAnotherCarrierWaitsForTheWorkOfTheFormerOne(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	claim := func(queueType string) error { // a process that starts and ends
		process, err := redis.Open(t.Context(), options(s.url()))
		require.NoError(t, err)
		defer func() { require.NoError(t, process.Close()) }()
		return process.Claim(t.Context(), queueType)
	}
	require.NoError(t, claim("trucks"))
	waiting, begun, kept := newRequest(), newRequest(), newRequest()
	create(t, db, waiting)
	create(t, db, begun)
	create(t, db, kept)
	keepIt(t, db, kept)
	c := consume(t, db)
	d := beginNow(t, c, begun)

	require.NoError(t, claim("trucks"))
	for _, other := range []string{"redis", "pigeons"} {
		err := claim(other)
		require.ErrorIs(t, err, ports.ErrMisconfigured)
		require.ErrorContains(t, err, "queue.type is "+other+", but trucks still carries 2 unfinished requests")
	}
	finishCarried(t, c, d, domain.Outcome{Status: domain.Completed})
	_, err := db.Cancel(t.Context(), waiting.ID)
	require.NoError(t, err)

	require.NoError(t, claim("redis"), "what Redis has all of goes on")
	require.NoError(t, claim("pigeons"))
	require.Equal(t, "pigeons", s.client().Get(t.Context(), "{openhqm-requests}:carrier").Val())
}

// TestProcessesOfTwoQueueTypesDoNotRunTogether holds that nothing is accepted that the other ones would never work on.
func TestProcessesOfTwoQueueTypesDoNotRunTogether(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	trucks := openDB(t, options(s.url()))
	require.NoError(t, trucks.Claim(t.Context(), "trucks"))
	require.NoError(t, openDB(t, options(s.url())).Claim(t.Context(), "trucks"), "of one type")
	pigeons := openDB(t, options(s.url()))
	err := pigeons.Claim(t.Context(), "pigeons")
	require.ErrorIs(t, err, ports.ErrUnavailable, "it may end")
	require.NotErrorIs(t, err, ports.ErrMisconfigured)
	require.ErrorContains(t, err, "with queue.type trucks uses this queue")

	create(t, trucks, newRequest())
	require.NoError(t, openDB(t, options(s.url())).Claim(t.Context(), "trucks"), "the other one has changed nothing")
	require.ErrorIs(t, pigeons.Claim(t.Context(), "pigeons"), ports.ErrMisconfigured)
}

// TestAKeptOriginalIsInTheDeadLetter has every way in which a request ends that a carrier has, with Options.Originals.
func TestAKeptOriginalIsInTheDeadLetter(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Originals = true
	db := openDB(t, opts)
	c := consume(t, db)
	lost, late, failed, done, retried := newRequest(), newRequest(), newRequest(), newRequest(), newRequest()
	late.Deadline = late.SubmittedAt.Add(-time.Minute)
	for _, r := range []domain.Request{lost, late, failed, done, retried} {
		create(t, db, r)
	}
	finishCarried(t, c, beginNow(t, c, failed), domain.Outcome{Status: domain.Failed, Attempts: 1, At: time.Now()})
	finishCarried(t, c, beginNow(t, c, done), domain.Outcome{Status: domain.Completed, Attempts: 1, At: time.Now()})
	finishCarried(t, c, beginNow(t, c, retried), domain.Outcome{Status: domain.Pending, Attempts: 1, At: time.Now()})
	requireState(t, db, late.ID, domain.TimedOut)
	require.Equal(t, 1, endLost(t, db, serverTime(t, s).Add(time.Millisecond)))

	rec := requireState(t, db, lost.ID, domain.Failed)
	require.NotContains(t, rec.Result.Error, "original")
	for _, r := range []domain.Request{lost, late, failed} {
		letter, err := db.DeadLetters().Find(t.Context(), r.ID)
		require.NoError(t, err)
		require.NotNil(t, letter.Request)
		require.Equal(t, r, *letter.Request)
	}
	require.False(t, s.client().HExists(t.Context(), "{openhqm-requests}:r:"+string(done.ID), "request").Val())
	require.Equal(t, retried, receive(t, c).Request)
}
