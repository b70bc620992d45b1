package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

const (
	resultsOutbox  = "{openhqm-requests}:outbox:results"
	lettersOutbox  = "{openhqm-requests}:outbox:letters"
	requestsOutbox = "{openhqm-requests}:outbox:requests"
	resultsOwed    = "{openhqm-requests}:told:results"
	lettersOwed    = "{openhqm-requests}:told:letters"
)

// retaining are the options of processes that keep what is owed for an hour.
func retaining(url string) redis.Options {
	opts := options(url)
	opts.Retention = time.Hour
	return opts
}

// notices are those of one outbox that were worked off.
type notices struct {
	mu  sync.Mutex
	all []ports.Notice
}

func (n *notices) add(some []ports.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, some...)
}

// await waits until there are so many, and returns them in their order.
func (n *notices) await(t *testing.T, count int) []ports.Notice {
	t.Helper()
	var all []ports.Notice
	require.Eventually(t, func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		all = append([]ports.Notice{}, n.all...)
		return len(all) >= count
	}, patience, 10*time.Millisecond)
	require.Len(t, all, count)
	return all
}

// byID is await by the ids.
func (n *notices) byID(t *testing.T, count int) map[domain.ID]ports.Notice {
	t.Helper()
	byID := make(map[domain.ID]ports.Notice)
	for _, notice := range n.await(t, count) {
		byID[notice.ID] = notice
	}
	return byID
}

// run runs a loop until the test ends, and waits for it.
func run(t *testing.T, loop func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// workOff works an outbox off until the test ends. When it returns everybody owes results or dead letters.
func workOff(t *testing.T, db *redis.DB, kind ports.NoticeKind) *notices {
	t.Helper()
	all, outbox := &notices{}, db.Outbox(kind)
	due, err := outbox.Due(t.Context())
	require.NoError(t, err)
	run(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			all.add(due)
			if len(due) == 0 || outbox.Done(ctx, due) != nil {
				outbox.Wait(ctx)
			}
			due, err = outbox.Due(ctx)
			if errors.Is(err, ports.ErrClosed) {
				return err
			}
		}
		return nil
	})
	return all
}

// announce lets everybody owe results and dead letters.
func announce(t *testing.T, db *redis.DB) {
	t.Helper()
	for _, kind := range []ports.NoticeKind{ports.NoticeResult, ports.NoticeDeadLetter} {
		_, err := db.Outbox(kind).Due(t.Context())
		require.NoError(t, err)
	}
}

// announced lets a process do so that is gone now.
func announced(t *testing.T, s *server) {
	t.Helper()
	db := openDB(t, retaining(s.url()))
	announce(t, db)
	require.NoError(t, db.Close())
}

func requireNothingOwed(t *testing.T, client goredis.UniversalClient) {
	t.Helper()
	requireSettled(t, client, resultsOutbox)
	requireSettled(t, client, lettersOutbox)
}

func requireSettled(t *testing.T, client goredis.UniversalClient, stream string) {
	t.Helper()
	require.Eventually(t, func() bool {
		pending, err := client.XPending(t.Context(), stream, "openhqm").Result()
		return err == nil && pending.Count == 0 && client.XLen(t.Context(), stream).Val() == 0
	}, patience, 10*time.Millisecond, "what is settled leaves the stream")
}

// end finishes the next request.
func end(t *testing.T, c *redis.Consumer, status domain.Status, response *domain.Response) domain.ID {
	t.Helper()
	d := receive(t, c)
	out := domain.Outcome{
		Status: status, Attempts: 3, At: time.Now().UTC().Truncate(time.Millisecond),
		ProcessingTime: 5 * time.Millisecond, Response: response,
	}
	if status.DeadLettered() {
		out.Reason, out.Error = domain.ReasonAttempts, "no luck"
	}
	require.NoError(t, c.Finish(t.Context(), []ports.Finish{{ID: d.Request.ID, Token: d.Token, Outcome: out}})[0])
	return d.Request.ID
}

func TestEveryEndIsOwed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, retaining(s.url()))
	results, letters := workOff(t, db, ports.NoticeResult), workOff(t, db, ports.NoticeDeadLetter)
	c := consume(t, db)
	text := domain.Header{"Content-Type": {"text/plain"}}
	accept(t, db, newRequest())
	response := domain.Response{StatusCode: 201, Header: text, Body: []byte("done")}
	completed := end(t, c, domain.Completed, &response)
	original := newRequest()
	original.Header, original.Query = domain.Header{"X-A": {"b"}}, "c=d"
	accept(t, db, original)
	failed := end(t, c, domain.Failed, nil)
	cancelled, late := newRequest(), newRequest()
	accept(t, db, cancelled)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	late.Deadline = time.Now().Add(-time.Minute)
	accept(t, db, late)

	ended := results.byID(t, 4)
	require.Equal(t, &response, ended[completed].Record.Result.Response)
	require.Equal(t, 5*time.Millisecond, ended[completed].Record.Result.ProcessingTime)
	require.Equal(t, domain.Failed, ended[failed].Record.Status)
	require.Equal(t, "no luck", ended[failed].Record.Result.Error)
	require.Equal(t, domain.Cancelled, ended[cancelled.ID].Record.Status)
	require.Nil(t, ended[cancelled.ID].Record.Result.Response)
	require.Equal(t, domain.TimedOut, ended[late.ID].Record.Status)

	buried := letters.byID(t, 2)
	require.Contains(t, buried, late.ID)
	require.Equal(t, 3, buried[failed].Letter.Attempts)
	require.Equal(t, "no luck", buried[failed].Letter.Error)
	require.WithinDuration(t, time.Now(), buried[failed].Letter.FailedAt, patience)
	require.Equal(t, &original, buried[failed].Letter.Request)
	require.True(t, buried[failed].Letter.Original.Empty())
	requireNothingOwed(t, s.client())
}

// TestWhatAProcessOwesWakesItsOutbox prepares each case in another process, so that nothing else wakes the outbox.
func TestWhatAProcessOwesWakesItsOutbox(t *testing.T) {
	t.Parallel()
	accepted := func(t *testing.T, other *redis.DB, r domain.Request) { t.Helper(); accept(t, other, r) }
	nothing := func(*testing.T, *redis.DB, domain.Request) {}
	for name, tt := range map[string]struct {
		options func(url string) redis.Options
		kind    ports.NoticeKind
		change  func(r *domain.Request)
		prepare func(t *testing.T, other *redis.DB, r domain.Request)
		owe     func(t *testing.T, db *redis.DB, r domain.Request)
	}{
		"a finish": {
			options: retaining, kind: ports.NoticeResult, prepare: accepted,
			owe: func(t *testing.T, db *redis.DB, _ domain.Request) {
				t.Helper()
				end(t, consume(t, db), domain.Completed, nil)
			},
		},
		"a dead letter": {
			options: retaining, kind: ports.NoticeDeadLetter, prepare: accepted,
			owe: func(t *testing.T, db *redis.DB, _ domain.Request) {
				t.Helper()
				end(t, consume(t, db), domain.Failed, nil)
			},
		},
		"the original of a dead letter": {
			options: retaining, kind: ports.NoticeDeadLetter,
			change: func(r *domain.Request) { r.Deadline = time.Now().Add(-time.Hour) },
			prepare: func(t *testing.T, other *redis.DB, r domain.Request) {
				t.Helper()
				create(t, other, r)
				awaitLetter(t, other, r.ID)
			},
			owe: keepIt,
		},
		"a request to hand over": {options: handoverTo, kind: ports.NoticeHandover, prepare: nothing, owe: accept},
		"a delayed request to hand over": { // when it is accepted, and when it is due
			options: handoverTo, kind: ports.NoticeHandover, prepare: nothing, owe: accept,
			change: func(r *domain.Request) { r.NotBefore = time.Now().Add(500 * time.Millisecond) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := startServer(t), newRequest()
			if tt.change != nil {
				tt.change(&r)
			}
			opts := tt.options(s.url())
			other := openDB(t, opts)
			announce(t, other)
			tt.prepare(t, other, r)
			require.NoError(t, other.Close())
			redis.SetOutboxPoll(&opts, time.Hour)
			db := openDB(t, opts)
			tt.owe(t, db, r)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			outbox := db.Outbox(tt.kind)
			var due []ports.Notice
			for len(due) == 0 {
				outbox.Wait(ctx)
				require.NoError(t, ctx.Err(), "nothing wakes it")
				var err error
				due, err = outbox.Due(t.Context())
				require.NoError(t, err)
			}
			require.Equal(t, r.ID, due[len(due)-1].ID)
		})
	}
}

func TestDeadLettersOfUnreadableMessagesAreOwed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, retaining(s.url()))
	results, letters := workOff(t, db, ports.NoticeResult), workOff(t, db, ports.NoticeDeadLetter)
	request, result := newRequest(), newRequest()
	require.NoError(t, db.Reject(t.Context(), rejection(request, "oops", "no JSON")))
	require.NoError(t, db.RejectResult(t.Context(), rejection(result, `{"oops": true}`, "no id")))
	buried := letters.byID(t, 2)
	require.Equal(t, "oops", string(buried[request.ID].Letter.Original.Value))
	require.JSONEq(t, `{"oops": true}`, string(buried[result.ID].Letter.Original.Value))
	require.Nil(t, buried[result.ID].Letter.Request)
	ended := results.byID(t, 1)
	require.Contains(t, ended, request.ID, "a result that cannot be read is no result")
	requireNothingOwed(t, s.client())
}

// TestDamagedEntriesAreOwedAsFarAsTheyCanBeRead writes what no version of ours does.
func TestDamagedEntriesAreOwedAsFarAsTheyCanBeRead(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, retaining(s.url()))
	announce(t, db)
	c := consume(t, db)
	accept(t, db, newRequest())
	id := end(t, c, domain.Failed, nil)
	client := s.client()
	require.NoError(t, client.HSet(t.Context(), "{openhqm-requests}:d:"+string(id), "request", "\xff").Err())
	require.NoError(t, client.HSet(t.Context(), "{openhqm-requests}:r:"+string(id), "facts", "\xff").Err())
	result := workOff(t, db, ports.NoticeResult).await(t, 1)[0]
	require.Error(t, result.Err)
	letter := workOff(t, db, ports.NoticeDeadLetter).await(t, 1)[0]
	require.NoError(t, letter.Err)
	require.Equal(t, "\xff", string(letter.Letter.Original.Value))
}

// TestWhatAProcessOwedIsHandedToAnother ends a request in a process that works off nothing any more.
func TestWhatAProcessOwedIsHandedToAnother(t *testing.T) {
	t.Parallel()
	for _, looked := range []bool{false, true} {
		t.Run(fmt.Sprintf("it looked: %t", looked), func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			opts := retaining(s.url())
			opts.Lease = 100 * time.Millisecond
			dying := openDB(t, opts)
			announce(t, dying)
			accept(t, dying, newRequest())
			id := end(t, consume(t, dying), domain.Failed, nil)
			if looked {
				for _, kind := range []ports.NoticeKind{ports.NoticeResult, ports.NoticeDeadLetter} {
					due, err := dying.Outbox(kind).Due(t.Context())
					require.NoError(t, err)
					require.Len(t, due, 1)
				}
			}
			require.NoError(t, dying.Close())
			heir := openDB(t, opts)
			require.Equal(t, id, workOff(t, heir, ports.NoticeResult).await(t, 1)[0].ID)
			require.Equal(t, id, workOff(t, heir, ports.NoticeDeadLetter).await(t, 1)[0].ID)
			requireNothingOwed(t, s.client())
		})
	}
}

// TestWhatIsNotDoneComesAgain also holds that it comes as it is by then.
func TestWhatIsNotDoneComesAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, handoverTo(s.url()))
	outbox := db.Outbox(ports.NoticeHandover)
	over, waiting := newRequest(), newRequest()
	accept(t, db, over)
	accept(t, db, waiting)
	due, err := outbox.Due(t.Context())
	require.NoError(t, err)
	require.Len(t, due, 2)
	require.Equal(t, &over, due[0].Request)
	require.Equal(t, domain.Pending, due[0].Record.Status)
	_, err = db.Cancel(t.Context(), over.ID)
	require.NoError(t, err)

	again, err := outbox.Due(t.Context())
	require.NoError(t, err)
	require.Len(t, again, 2)
	require.Equal(t, domain.Cancelled, again[0].Record.Status)
	require.Equal(t, &waiting, again[1].Request)
	require.NoError(t, outbox.Done(t.Context(), again[:1]))
	again, err = outbox.Due(t.Context())
	require.NoError(t, err)
	require.Len(t, again, 1)
	require.Equal(t, waiting.ID, again[0].ID)
	require.NoError(t, outbox.Done(t.Context(), again))
	requireSettled(t, s.client(), requestsOutbox)
}

// TestDueIsBounded has notices that are too much for one answer, by their number or by their size.
func TestDueIsBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "no")
	db := openDB(t, handoverTo(s.url()))
	const small, large = 100, 10
	for range small {
		accept(t, db, newRequest())
	}
	for range large {
		r := newRequest()
		r.Body = make([]byte, 3<<20)
		accept(t, db, r)
	}
	outbox := db.Outbox(ports.NoticeHandover)
	var sizes []int
	for total := 0; total < small+large; {
		due, err := outbox.Due(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, due)
		bytes := 0
		for _, notice := range due {
			bytes += len(notice.Request.Body)
		}
		require.LessOrEqual(t, bytes, 8<<20)
		require.NoError(t, outbox.Done(t.Context(), due))
		sizes, total = append(sizes, len(due)), total+len(due)
	}
	require.LessOrEqual(t, len(sizes), 10, "few answers: %v", sizes)
	due, err := outbox.Due(t.Context())
	require.NoError(t, err)
	require.Empty(t, due)
}

func TestWhatIsGoneSaysSo(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, retaining(s.url()))
	announce(t, db)
	c := consume(t, db)
	accept(t, db, newRequest())
	gone := end(t, c, domain.Failed, nil)
	require.NoError(t, s.client().Del(t.Context(), "{openhqm-requests}:r:"+string(gone)).Err())
	require.NoError(t, db.DeadLetters().Delete(t.Context(), gone))
	result := workOff(t, db, ports.NoticeResult).await(t, 1)[0]
	require.Equal(t, gone, result.ID)
	require.Nil(t, result.Record)
	require.Nil(t, workOff(t, db, ports.NoticeDeadLetter).await(t, 1)[0].Letter)
	requireNothingOwed(t, s.client())
}

func TestNoticesComeAfterRedisCameBackEmpty(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "no")
	db := openDB(t, retaining(s.url()))
	results := workOff(t, db, ports.NoticeResult)
	for i := range 2 {
		require.Eventually(t, func() bool { return tryAccept(t.Context(), db, newRequest()) == nil },
			patience, 10*time.Millisecond)
		require.Eventually(t, func() bool { return s.client().Exists(t.Context(), resultsOwed).Val() == 1 },
			patience, time.Millisecond)
		id := end(t, consume(t, db), domain.Completed, nil)
		require.Equal(t, id, results.await(t, i+1)[i].ID)
		require.NoError(t, s.stop())
		require.NoError(t, s.start())
	}
}

// TestEveryShardHasAnOutbox has more than one answer holds in each.
func TestEveryShardHasAnOutbox(t *testing.T) {
	t.Parallel()
	url := startCluster(t)
	opts := retaining(url)
	opts.Shards = 3
	db := openDB(t, opts)
	results, letters := workOff(t, db, ports.NoticeResult), workOff(t, db, ports.NoticeDeadLetter)
	client := clusterClient(t, url)
	for _, shard := range []string{"{openhqm-requests}", "{openhqm-requests/1}", "{openhqm-requests/2}"} {
		for _, kind := range []string{"results", "letters"} {
			require.EqualValues(t, 1, client.Exists(t.Context(), shard+":told:"+kind).Val(), shard)
		}
	}
	c := consume(t, db)
	const n = 20
	for range n {
		accept(t, db, newRequest())
	}
	for range n {
		end(t, c, domain.Failed, nil)
	}
	require.Len(t, results.byID(t, n), n)
	require.Len(t, letters.byID(t, n), n)
}

func TestAnOutboxCountsWhatIsOwed(t *testing.T) {
	t.Parallel()
	opts := retaining(startServer(t).url())
	opts.Shards = 2
	db := openDB(t, opts)
	announce(t, db)
	outbox, c := db.Outbox(ports.NoticeResult), consume(t, db)
	requireWaiting := func(want int64) {
		t.Helper()
		waiting, err := outbox.Waiting(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, waiting)
	}
	requireWaiting(0)
	const n = 5
	for range n {
		accept(t, db, newRequest())
		end(t, c, domain.Completed, nil)
	}
	requireWaiting(n)
	for done := 0; done < n; {
		due, err := outbox.Due(t.Context())
		require.NoError(t, err)
		requireWaiting(int64(n - done))
		require.NoError(t, outbox.Done(t.Context(), due))
		done += len(due)
	}
	requireWaiting(0)
}

// TestAClosedOutboxSaysSo lets Close end what waits.
func TestAClosedOutboxSaysSo(t *testing.T) {
	t.Parallel()
	db := openDB(t, retaining(startServer(t).url()))
	outbox := db.Outbox(ports.NoticeResult)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		for range 2 {
			outbox.Wait(context.Background())
		}
	}()
	require.NoError(t, db.Close())
	<-waited
	_, err := outbox.Due(t.Context())
	require.ErrorIs(t, err, ports.ErrClosed)
	require.ErrorIs(t, outbox.Done(t.Context(), nil), ports.ErrClosed)
	_, err = outbox.Waiting(t.Context())
	require.ErrorIs(t, err, ports.ErrClosed)
}

func TestDueEndsWithItsContextWhileRedisHangs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := retaining(s.url() + "?read_timeout=1h")
	opts.Shards = 20
	db := openDB(t, opts)
	outbox := db.Outbox(ports.NoticeResult)
	require.NoError(t, s.client().Do(t.Context(), "CLIENT", "PAUSE", "600000", "ALL").Err())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := outbox.Due(ctx)
		ended <- err
	}()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, ports.ErrUnavailable)
	case <-time.After(patience):
		require.Fail(t, "it waits for Redis")
	}
}

// TestWhatIsOwedDoesNotDependOnWhoEndsARequest ends requests in a process that works off nothing.
func TestWhatIsOwedDoesNotDependOnWhoEndsARequest(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	announced(t, s)
	api := openDB(t, options(s.url()))
	finished, cancelled, late := newRequest(), newRequest(), newRequest()
	late.Deadline = time.Now().Add(-time.Minute)
	accept(t, api, finished)
	end(t, consume(t, api), domain.Completed, nil)
	accept(t, api, cancelled)
	_, err := api.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	accept(t, api, late)
	rec, err := api.State(t.Context(), late.ID)
	require.NoError(t, err)
	require.Equal(t, domain.TimedOut, rec.Status)

	db := openDB(t, retaining(s.url()))
	ended := workOff(t, db, ports.NoticeResult).byID(t, 3)
	require.Equal(t, domain.Completed, ended[finished.ID].Record.Status)
	require.Equal(t, domain.Cancelled, ended[cancelled.ID].Record.Status)
	require.Equal(t, domain.TimedOut, ended[late.ID].Record.Status)
	require.Equal(t, late.ID, workOff(t, db, ports.NoticeDeadLetter).await(t, 1)[0].ID)
}

// TestEachProcessWorksOffItsOwnKinds has two processes with one kind each.
func TestEachProcessWorksOffItsOwnKinds(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	announced(t, s)
	db := openDB(t, retaining(s.url()))
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Failed, nil)
	require.Equal(t, id, workOff(t, db, ports.NoticeResult).await(t, 1)[0].ID)
	requireSettled(t, client, resultsOutbox)
	require.EqualValues(t, 1, client.XLen(t.Context(), lettersOutbox).Val())
	require.Zero(t, client.XPending(t.Context(), lettersOutbox, "openhqm").Val().Count, "nobody took it")
	letters := workOff(t, openDB(t, retaining(s.url())), ports.NoticeDeadLetter)
	require.Equal(t, id, letters.await(t, 1)[0].ID)
	requireSettled(t, client, lettersOutbox)
}

func TestNothingIsOwedThatNobodyWorksOff(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	opts := retaining(s.url())
	db := openDB(t, opts)
	c := consume(t, db)
	ended := func() {
		accept(t, db, newRequest())
		end(t, c, domain.Failed, nil)
	}
	ended()
	require.Zero(t, client.Exists(t.Context(), resultsOutbox, lettersOutbox).Val())

	_, err := openDB(t, opts).Outbox(ports.NoticeResult).Due(t.Context())
	require.NoError(t, err)
	ended()
	require.EqualValues(t, 1, client.XLen(t.Context(), resultsOutbox).Val())
	require.Zero(t, client.Exists(t.Context(), lettersOutbox).Val())
	for _, key := range []string{resultsOwed, resultsOutbox} {
		left := client.PTTL(t.Context(), key).Val()
		require.Positive(t, left, key)
		require.LessOrEqual(t, left, opts.Retention, key)
	}
}

func TestWhatIsOwedForTooLongIsTrimmed(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--stream-node-max-entries", "1") // "~" keeps what shares a node with what stays
	client := s.client()
	announced(t, s)
	old := fmt.Sprintf("%d-0", time.Now().Add(-2*time.Hour).UnixMilli())
	require.NoError(t, client.XAdd(t.Context(), &goredis.XAddArgs{
		Stream: resultsOutbox, ID: old, Values: []string{"id", "1", "bytes", "0"},
	}).Err())
	db := openDB(t, options(s.url()))
	accept(t, db, newRequest())
	end(t, consume(t, db), domain.Completed, nil)
	entries, err := client.XRange(t.Context(), resultsOutbox, "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NotEqual(t, old, entries[0].ID)
}

// TestWhatIsOwedIsKeptUntilItIsDone has notices worked off only when the lifetimes are over.
func TestWhatIsOwedIsKeptUntilItIsDone(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	announced(t, s)
	opts := options(s.url())
	opts.TTL, opts.DeadLetterTTL = 10*time.Millisecond, 10*time.Millisecond
	db := openDB(t, opts)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Failed, nil)
	record, letter := "{openhqm-requests}:r:"+string(id), "{openhqm-requests}:d:"+string(id)
	for _, key := range []string{record, letter} {
		left := client.PTTL(t.Context(), key).Val()
		require.Greater(t, left, opts.TTL, key)
		require.LessOrEqual(t, left, retaining("").Retention, key)
	}
	require.Eventually(t, func() bool {
		return client.ZCard(t.Context(), "{openhqm-requests}:dead").Val() == 0
	}, patience, 10*time.Millisecond, "a sweep that forgets the dead letter")

	late := openDB(t, retaining(s.url()))
	require.Equal(t, domain.Failed, workOff(t, late, ports.NoticeResult).await(t, 1)[0].Record.Status)
	require.Equal(t, "no luck", workOff(t, late, ports.NoticeDeadLetter).await(t, 1)[0].Letter.Error)
	requireNothingOwed(t, client)
	require.Eventually(t, func() bool { return client.Exists(t.Context(), record, letter).Val() == 0 },
		patience, 10*time.Millisecond, "their lifetime is over, and nobody waits for them")
}

// TestWhatIsDoneKeepsItsLifetime has one that is shorter than what is owed is kept.
func TestWhatIsDoneKeepsItsLifetime(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	opts := retaining(s.url())
	opts.TTL, opts.DeadLetterTTL = 10*time.Minute, 20*time.Minute
	db := openDB(t, opts)
	workOff(t, db, ports.NoticeResult)
	workOff(t, db, ports.NoticeDeadLetter)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Failed, nil)
	for key, want := range map[string]time.Duration{"r": opts.TTL, "d": opts.DeadLetterTTL} {
		require.Eventually(t, func() bool {
			left := client.PTTL(t.Context(), "{openhqm-requests}:"+key+":"+string(id)).Val()
			return left > want-patience && left <= want
		}, patience, 10*time.Millisecond, key)
	}
}

// TestNoticesAreReadWhileMemoryIsFull also holds that Redis does not count as away then, when nobody can note that the
// kind is owed.
func TestNoticesAreReadWhileMemoryIsFull(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	var late atomic.Bool
	opts := retaining(s.url())
	opts.Logger, opts.Lease = log.Logger(), time.Hour
	opts.Now = func() time.Time {
		if late.Load() {
			return time.Now().Add(opts.Lease / 2)
		}
		return time.Now()
	}
	db := openDB(t, opts)
	outbox := db.Outbox(ports.NoticeResult)
	_, err := outbox.Due(t.Context())
	require.NoError(t, err)
	accept(t, db, newRequest())
	id := end(t, consume(t, db), domain.Completed, nil)
	before := log.String()
	fill(t, s.client())
	late.Store(true)
	outbox.Wait(t.Context())
	due, err := outbox.Due(t.Context())
	require.NoError(t, err)
	require.Len(t, due, 1)
	require.Equal(t, id, due[0].ID)
	require.NoError(t, outbox.Done(t.Context(), due))
	require.Equal(t, before, log.String())
}
