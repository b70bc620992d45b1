package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// create makes the record of a request that a carrier has.
func create(t *testing.T, db *redis.DB, r domain.Request) {
	t.Helper()
	created := db.Create(t.Context(), []ports.Creation{{Request: r, Carried: true}})[0]
	require.NoError(t, created.Err)
	require.True(t, created.Unpublished)
	require.Equal(t, ports.AcceptedNew, created.Outcome)
	require.Equal(t, r.ID, created.Record.ID)
}

// arrival is what a message says of a request.
func arrival(r domain.Request, try string) ports.Arrival {
	r.Owner, r.ResentFrom, r.Idempotency = "", "", nil
	return ports.Arrival{Request: r, Try: try}
}

func begin(t *testing.T, c *redis.Consumer, a ports.Arrival) ports.Begun {
	t.Helper()
	begun := c.Begin(t.Context(), []ports.Arrival{a})[0]
	require.NoError(t, begun.Err)
	return begun
}

// beginNow begins what must be begun.
func beginNow(t *testing.T, c *redis.Consumer, r domain.Request) ports.Delivery {
	t.Helper()
	begun := begin(t, c, arrival(r, "try"))
	require.Equal(t, ports.BegunGo, begun.Verdict)
	return begun.Delivery
}

func keepIt(t *testing.T, db *redis.DB, r domain.Request) {
	t.Helper()
	require.NoError(t, db.Keep(t.Context(), []ports.Arrival{arrival(r, "")})[0])
}

// awaitLetter waits until there is a dead letter.
func awaitLetter(t *testing.T, db *redis.DB, id domain.ID) domain.DeadLetter {
	t.Helper()
	var letter domain.DeadLetter
	require.Eventually(t, func() bool {
		var err error
		letter, err = db.DeadLetters().Find(t.Context(), id)
		return err == nil
	}, patience, 10*time.Millisecond)
	return letter
}

func finishCarried(t *testing.T, c *redis.Consumer, d ports.Delivery, out domain.Outcome) {
	t.Helper()
	out.At = time.Now()
	require.NoError(t, c.Finish(t.Context(), []ports.Finish{{
		ID: d.Request.ID, Token: d.Token, Outcome: out, Original: &d.Request,
	}})[0])
}

func depths(t *testing.T, db *redis.DB) [3]int64 {
	t.Helper()
	d, err := db.Depths(t.Context())
	require.NoError(t, err)
	return [3]int64{d.Ready, d.Delayed, d.Leased}
}

// take gets what the store has by itself, which must be one delivery.
func take(t *testing.T, c *redis.Consumer) ports.Delivery {
	t.Helper()
	deliveries, err := c.Take(t.Context(), ports.Credit{Count: 10, Bytes: 1 << 40})
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	return deliveries[0]
}

func requireNothingToTake(t *testing.T, c *redis.Consumer) {
	t.Helper()
	deliveries, err := c.Take(t.Context(), ports.Credit{Count: 10, Bytes: 1 << 40})
	require.NoError(t, err)
	require.Empty(t, deliveries)
}

// TestARecordHoldsNothingThatACarrierHas follows a request through its life.
func TestARecordHoldsNothingThatACarrierHas(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	db, client := openDB(t, options(server.url())), server.client()
	c, r := consume(t, db), newRequest()
	r.Owner, r.ResentFrom = "shop", "older"
	create(t, db, r)
	require.Equal(t, [3]int64{1, 0, 0}, depths(t, db))
	requireNothingToTake(t, c)
	const key = "{openhqm-requests}:r:"
	require.False(t, client.HExists(t.Context(), key+string(r.ID), "request").Val())

	d := beginNow(t, c, r)
	require.Equal(t, r, d.Request, "with what no message tells")
	require.Equal(t, 1, d.Deliveries)
	require.Equal(t, [3]int64{0, 0, 1}, depths(t, db))
	finishCarried(t, c, d, domain.Outcome{Status: domain.Completed, Attempts: 1})
	require.Equal(t, [3]int64{}, depths(t, db))
	require.Equal(t, ports.BegunDone, begin(t, c, arrival(r, "copy")).Verdict)

	left := client.Keys(t.Context(), "*").Val()
	require.ElementsMatch(t, []string{key + string(r.ID), "{openhqm-requests}:alive", "{openhqm-requests}:shards"}, left)
}

// TestWhatIsNotFinalGoesOnInRedis holds that after the first outcome no broker is needed.
func TestWhatIsNotFinalGoesOnInRedis(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c, r := consume(t, db), newRequest()
	create(t, db, r)
	finishCarried(t, c, beginNow(t, c, r), domain.Outcome{Status: domain.Pending, Attempts: 1})
	require.Equal(t, ports.BegunDone, begin(t, c, arrival(r, "copy")).Verdict)
	d := take(t, c)
	require.Equal(t, r.Body, d.Request.Body)
	require.Equal(t, 1, d.Attempts)
	finish(t, c, d, domain.Failed)
	letter, err := db.DeadLetters().Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, &r, letter.Request)
}

func TestADeadLetterHasTheOriginalThatTheCarrierHad(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c, r := consume(t, db), newRequest()
	create(t, db, r)
	finishCarried(t, c, beginNow(t, c, r), domain.Outcome{Status: domain.Failed, Attempts: 1})
	letter, err := db.DeadLetters().Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, &r, letter.Request)
}

// TestADeliveryWithoutItsMessageCannotBeHandedBack has a token without the message: the request would be lost with it.
func TestADeliveryWithoutItsMessageCannotBeHandedBack(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c, r := consume(t, db), newRequest()
	create(t, db, r)
	d := beginNow(t, c, r)
	require.ErrorIs(t, c.Finish(t.Context(), []ports.Finish{{
		ID: r.ID, Token: d.Token, Outcome: domain.Outcome{Status: domain.Pending, At: time.Now()},
	}})[0], ports.ErrLost)
	require.Equal(t, [3]int64{0, 0, 1}, depths(t, db))
}

func TestADeadLetterOfTheDeadlineIsCompletedByItsMessage(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	r := newRequest()
	r.Deadline = time.Now().Add(-time.Hour)
	create(t, db, r)
	letters := db.DeadLetters()
	require.Nil(t, awaitLetter(t, db, r.ID).Request)
	keepIt(t, db, r)
	letter, err := letters.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, r.Body, letter.Request.Body)

	require.NoError(t, letters.Delete(t.Context(), r.ID))
	keepIt(t, db, r)
	_, err = letters.Find(t.Context(), r.ID)
	require.ErrorIs(t, err, ports.ErrNotFound, "what was deleted does not come back")
}

// TestARecordThatCannotBeReadEndsAsADeadLetter has facts that somebody has damaged.
func TestARecordThatCannotBeReadEndsAsADeadLetter(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	db := openDB(t, options(server.url()))
	c, r := consume(t, db), newRequest()
	create(t, db, r)
	require.NoError(t, server.client().HSet(t.Context(), "{openhqm-requests}:r:"+string(r.ID), "facts", "\xff").Err())
	require.Equal(t, ports.BegunKeep, begin(t, c, arrival(r, "try")).Verdict)
	keepIt(t, db, r)
	require.Equal(t, [3]int64{}, depths(t, db))
	d, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, d.DeadLetters)
}

// TestARepeatSaysWhetherItsRequestIsPublished looks for the record in the shard of the key.
func TestARepeatSaysWhetherItsRequestIsPublished(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.Shards = 3
	db := openDB(t, opts)
	c := consume(t, db)
	for name, publish := range map[string]func(r domain.Request) error{
		"published": func(r domain.Request) error { return db.Published(t.Context(), []domain.Request{r}) },
		"begun":     func(r domain.Request) error { return c.Begin(t.Context(), []ports.Arrival{arrival(r, "a")})[0].Err },
		"kept":      func(r domain.Request) error { return db.Keep(t.Context(), []ports.Arrival{arrival(r, "")})[0] },
	} {
		r := newRequest()
		r.Idempotency = &domain.Idempotency{Key: name, ExpiresAt: time.Now().Add(time.Hour)}
		create(t, db, r)
		repeat := newRequest()
		repeat.Idempotency = r.Idempotency
		repeated := func() ports.Created {
			created := db.Create(t.Context(), []ports.Creation{{Request: repeat, Carried: true}})[0]
			require.NoError(t, created.Err)
			require.Equal(t, ports.AcceptedSame, created.Outcome)
			require.Equal(t, r.ID, created.Record.ID)
			return created
		}
		require.True(t, repeated().Unpublished, name)
		require.NoError(t, publish(r), name)
		require.False(t, repeated().Unpublished, name)
	}
	require.Equal(t, [3]int64{2, 0, 1}, depths(t, db))
}

// TestTheCancelledIsRememberedWhileItsMessageMayCome has a record that would be gone long before its message.
func TestTheCancelledIsRememberedWhileItsMessageMayCome(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	opts := options(server.url())
	opts.TTL = time.Second
	db := openDB(t, opts)
	r := newRequest()
	create(t, db, r)
	_, err := db.Cancel(t.Context(), r.ID)
	require.NoError(t, err)
	left := server.client().PTTL(t.Context(), "{openhqm-requests}:r:"+string(r.ID)).Val()
	require.Greater(t, left, time.Until(r.Deadline)+24*time.Hour)
}

// TestFinalRecordsAreKeptWhileTheirMessagesMayCome has records whose lifetime is a second without their messages.
func TestFinalRecordsAreKeptWhileTheirMessagesMayCome(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client()
	opts := retaining(server.url())
	opts.TTL = time.Second
	db := openDB(t, opts)
	results := workOff(t, db, ports.NoticeResult)
	workOff(t, db, ports.NoticeDeadLetter)
	cancelled, late := newRequest(), newRequest()
	late.Deadline = time.Now().Add(-time.Hour)
	create(t, db, cancelled)
	create(t, db, late)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	results.await(t, 2)
	requireNothingOwed(t, client)
	for _, id := range []domain.ID{cancelled.ID, late.ID} {
		require.Greater(t, client.PTTL(t.Context(), "{openhqm-requests}:r:"+string(id)).Val(), 24*time.Hour)
	}
}

// TestADeadLetterThatGetsItsOriginalHasASecondNotice does not make up one that the carrier still has.
func TestADeadLetterThatGetsItsOriginalHasASecondNotice(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	db := openDB(t, retaining(server.url()))
	workOff(t, db, ports.NoticeResult)
	letters := workOff(t, db, ports.NoticeDeadLetter)
	r := newRequest()
	r.Deadline = time.Now().Add(-time.Hour)
	create(t, db, r)
	first := letters.await(t, 1)[0]
	require.Equal(t, r.ID, first.Letter.ID)
	require.Nil(t, first.Letter.Request)
	require.True(t, first.Letter.Original.Empty())

	keepIt(t, db, r)
	require.Equal(t, r.ID, letters.await(t, 2)[1].Letter.Request.ID)
	requireNothingOwed(t, server.client())
	keepIt(t, db, r)
	requireNothingOwed(t, server.client())
}

// TestAMessageWithTheIDOfAnotherIsTold has a request that was submitted here, and one of another program.
func TestAMessageWithTheIDOfAnotherIsTold(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c, ours, theirs, kept := consume(t, db), newRequest(), newRequest(), newRequest()
	create(t, db, ours)
	finishCarried(t, c, beginNow(t, c, theirs), domain.Outcome{Status: domain.Completed})
	keepIt(t, db, kept)
	for _, r := range []domain.Request{ours, theirs, kept} {
		require.NoError(t, db.Keep(t.Context(), []ports.Arrival{arrival(r, "")})[0], "itself")
		r.Path = "/other"
		require.Equal(t, ports.BegunIDUsed, begin(t, c, arrival(r, "a")).Verdict)
		require.ErrorIs(t, db.Keep(t.Context(), []ports.Arrival{arrival(r, "")})[0], ports.ErrIDUsed)
	}
}

func TestTheLimitCountsWhatIsCarried(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.MaxDepth = 1
	db := openDB(t, opts)
	create(t, db, newRequest())
	created := db.Create(t.Context(), []ports.Creation{{Request: newRequest(), Carried: true}})[0]
	require.ErrorIs(t, created.Err, ports.ErrFull)
}

func TestAStoreThatIsClosedOrAwaySaysSo(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	db := openDB(t, options(server.url()))
	c, r := consume(t, db), newRequest()
	calls := map[string]func() error{
		"Create":    func() error { return db.Create(t.Context(), []ports.Creation{{Request: r, Carried: true}})[0].Err },
		"Published": func() error { return db.Published(t.Context(), []domain.Request{r}) },
		"Keep":      func() error { return db.Keep(t.Context(), []ports.Arrival{arrival(r, "")})[0] },
		"Begin":     func() error { return c.Begin(t.Context(), []ports.Arrival{arrival(r, "a")})[0].Err },
		"Take":      func() error { _, err := c.Take(t.Context(), ports.Credit{Count: 1, Bytes: 1}); return err },
		"Reject":    func() error { return db.Reject(t.Context(), rejection(r, "?", "unreadable")) },
	}
	require.NoError(t, server.stop())
	for name, call := range calls {
		require.ErrorIs(t, call(), ports.ErrUnavailable, name)
	}
	require.NoError(t, db.Close())
	for name, call := range calls {
		require.ErrorIs(t, call(), ports.ErrClosed, name)
	}
}

// TestTheDocumentedPermissionsAreEnoughForWhatACarrierHas does each thing once.
func TestTheDocumentedPermissionsAreEnoughForWhatACarrierHas(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client()
	setUser(t, client, documentedUser(t)...)
	db := openDB(t, options(asUser(server.url())))
	c, begun, kept, cancelled := consume(t, db), newRequest(), newRequest(), newRequest()
	begun.Idempotency = &domain.Idempotency{Key: "key", ExpiresAt: time.Now().Add(time.Hour)}
	create(t, db, begun)
	require.NoError(t, db.Published(t.Context(), []domain.Request{begun}))
	d := beginNow(t, c, begun)
	keepIt(t, db, begun)
	finishCarried(t, c, d, domain.Outcome{Status: domain.Failed})
	keepIt(t, db, begun)
	keepIt(t, db, kept)
	finish(t, c, take(t, c), domain.Completed)
	create(t, db, cancelled)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	require.NoError(t, db.Reject(t.Context(), rejection(newRequest(), "?", "unreadable")))
	require.Equal(t, [3]int64{}, depths(t, db))
	refused, err := client.Do(t.Context(), "ACL", "LOG").Slice()
	require.NoError(t, err)
	require.Empty(t, refused)
}
