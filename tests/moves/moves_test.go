// Package moves_test moves everything from each store to each other one, and compares.
package moves_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/openhqm/openhqm/adapters/embedded"
	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// store is one that can be moved, as a process has it.
type store struct {
	ports.Intake
	ports.Results
	ports.Gauge
	ports.Movable

	letters ports.DeadLetters
	consume func(ctx context.Context) (work ports.Work, wait func())
}

// stores has a line for each kind.
var stores = map[string]func(testing.TB) *store{
	"embedded":       openEmbedded,
	"redis":          func(tb testing.TB) *store { return openRedis(tb, testkit.StartRedis(tb).URL(), 1) },
	"redis in three": func(tb testing.TB) *store { return openRedis(tb, testkit.StartRedis(tb).URL(), 3) },
}

const (
	lease         = time.Second
	ttl           = time.Hour
	deadLetterTTL = 10 * time.Hour
	keyTTL        = 5 * time.Hour
)

func openEmbedded(tb testing.TB) *store {
	tb.Helper()
	db, err := embedded.Open(embedded.Options{
		Dir: tb.TempDir(), CacheBytes: 8 << 20, MemTableBytes: 4 << 20, Lease: lease, TTL: ttl,
		DeadLetterTTL: deadLetterTTL, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Moving: true,
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return &store{
		Intake: db, Results: db, Gauge: db, Movable: db.Moves(), letters: db.DeadLetters(),
		consume: func(ctx context.Context) (ports.Work, func()) { return db.NewConsumer(ctx) },
	}
}

func openRedis(tb testing.TB, url string, shards int) *store {
	tb.Helper()
	db, err := redis.Open(tb.Context(), redis.Options{
		URL: url, Queue: "openhqm-requests", Shards: shards, Lease: lease, TTL: ttl, DeadLetterTTL: deadLetterTTL,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return &store{
		Intake: db, Results: db, Gauge: db, Movable: db, letters: db.DeadLetters(),
		consume: func(ctx context.Context) (ports.Work, func()) { return db.NewConsumer(ctx) },
	}
}

// content is what was put into a store.
type content struct {
	requests map[domain.ID]domain.Request // all of them
	due      []domain.ID                  // that will be handed out at once
}

// requests generates all that a request carries.
func requests(now time.Time) *rapid.Generator[domain.Request] {
	texts := rapid.StringN(0, 20, 40)
	return rapid.Custom(func(t *rapid.T) domain.Request {
		r := domain.Request{
			ID:       domain.ID(rapid.StringMatching(`[a-z0-9]{20}`).Draw(t, "id")),
			Endpoint: rapid.SampledFrom([]string{"orders", "mail", "a-b_c"}).Draw(t, "endpoint"),
			Method:   rapid.SampledFrom([]string{"", "GET", "PUT"}).Draw(t, "method"),
			Path:     rapid.SampledFrom([]string{"", "/a%2Fb", "/"}).Draw(t, "path"),
			Query:    rapid.SampledFrom([]string{"", "x=1&x=2"}).Draw(t, "query"),
			Header: domain.Header(rapid.MapOfN(rapid.StringMatching(`X-[a-z]{1,8}`),
				rapid.SliceOfN(texts, 1, 3), 0, 3).Draw(t, "header")),
			Body:        rapid.SampledFrom([][]byte{nil, {}, []byte(`{"n":1}`), {0, 255, 10}}).Draw(t, "body"),
			Owner:       rapid.SampledFrom([]string{"", "shop"}).Draw(t, "owner"),
			Priority:    rapid.IntRange(0, 9).Draw(t, "priority"),
			SubmittedAt: now.Add(-time.Duration(rapid.IntRange(0, 1000).Draw(t, "age")) * time.Millisecond),
			Deadline:    now.Add(time.Duration(rapid.IntRange(3600, 7200).Draw(t, "deadline")) * time.Second),
			MaxAttempts: rapid.IntRange(0, 3).Draw(t, "attempts"),
			ResentFrom:  domain.ID(rapid.SampledFrom([]string{"", "an-earlier-one"}).Draw(t, "resent")),
		}
		if labels := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,5}`), texts, 0, 2).Draw(t, "labels"); len(labels) > 0 {
			r.Labels = labels
		}
		if rapid.Bool().Draw(t, "keyed") {
			r.Idempotency = &domain.Idempotency{
				Key: "key-" + string(r.ID), Fingerprint: [32]byte{7, 31: 9}, ExpiresAt: now.Add(keyTTL),
			}
		}
		return r
	})
}

// fill puts requests of all states into a store.
func fill(t *testing.T, s *store) content {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	c := content{requests: make(map[domain.ID]domain.Request)}
	made := 0
	newRequest := func(change ...func(*domain.Request)) domain.Request {
		r := requests(now).Example(made)
		made++
		for _, f := range change {
			f(&r)
		}
		c.requests[r.ID] = r
		require.NoError(t, s.Accept(t.Context(), []domain.Request{r})[0].Err)
		return r
	}
	ctx, end := context.WithCancel(t.Context())
	work, wait := s.consume(ctx)
	receive := func() ports.Delivery {
		all, err := work.Receive(t.Context(), ports.Credit{Count: 1, Bytes: 1 << 30})
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0]
	}
	response := func() *domain.Response {
		return &domain.Response{StatusCode: 503, Header: domain.Header{"A": {"1", "2"}}, Body: []byte("no\x00")}
	}
	finish := func(outcome domain.Outcome) {
		d := receive()
		outcome.Attempts, outcome.At = d.Attempts+1, now
		require.NoError(t, work.Finish(t.Context(), []ports.Finish{{ID: d.Request.ID, Token: d.Token, Outcome: outcome}})[0])
	}
	for range 8 {
		for _, outcome := range []domain.Outcome{
			{Status: domain.Completed, Response: response(), ProcessingTime: 1234 * time.Microsecond},
			{Status: domain.Failed, Reason: domain.ReasonAttempts, Error: "it broke: é", Response: response()},
			{Status: domain.Failed, Reason: domain.ReasonRejected, Error: "no"},
			{Status: domain.TimedOut, Reason: domain.ReasonDeadline, Error: "late"},
			{Status: domain.Pending, NextAttemptAt: now.Add(time.Hour), Response: response()},
		} {
			newRequest()
			finish(outcome)
		}
		cancelled := newRequest()
		_, err := s.Cancel(t.Context(), cancelled.ID)
		require.NoError(t, err)
		newRequest(func(r *domain.Request) { r.NotBefore = now.Add(30 * time.Minute) })
		held := newRequest()
		require.Equal(t, held.ID, receive().Request.ID)
		c.due = append(c.due, held.ID)
	}
	for range 100 {
		c.due = append(c.due, newRequest().ID)
	}
	end()
	wait()
	testkit.Until(t, "no lease is held", func() bool {
		users, err := s.Users(t.Context())
		require.NoError(t, err)
		return users == ""
	})
	return c
}

// move is a whole move.
func move(ctx context.Context, from, to ports.Movable) (application.MoveSum, error) {
	return application.NewMove(application.MoveOptions{
		From: application.MoveSide{Name: "here", Store: from}, To: application.MoveSide{Name: "there", Store: to},
		Patience: time.Minute, NewMove: func() string { return strconv.FormatInt(time.Now().UnixNano(), 36) },
		Progress: func(application.MoveSum) {},
	}).Run(ctx)
}

func TestEverythingMovesBetweenAllStores(t *testing.T) {
	t.Parallel()
	for from := range stores {
		for to := range stores {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				a, b := stores[from](t), stores[to](t)
				c := fill(t, a)
				before := snapshot(t, a, c)
				sum, err := move(t.Context(), a, b)
				require.NoError(t, err)
				require.Equal(t, 108, sum.Ready)
				require.Equal(t, 16, sum.Delayed)
				require.Equal(t, 40, sum.Final)
				require.Equal(t, 24, sum.DeadLetters)

				requireEmpty(t, a, c)
				requireSame(t, before, snapshot(t, b, c))
				requireLifetimes(t, b)
				requireKeys(t, b, c)
				requireHandedOut(t, b, c)
			})
		}
	}
}

// requireLifetimes checks that lifetimes did not begin again, or end.
func requireLifetimes(t *testing.T, s *store) {
	t.Helper()
	near := func(lifetime time.Duration, end time.Time) {
		t.Helper()
		require.WithinDuration(t, time.Now().Add(lifetime), end, 5*time.Minute)
	}
	require.NoError(t, s.Export(t.Context(), func(some []ports.Stored) error {
		for _, one := range some {
			if one.Record.Status.Final() {
				near(ttl, one.Expires)
			}
			if one.Letter != nil {
				near(deadLetterTTL, one.Letter.Expires)
			}
			if one.Key != nil {
				near(keyTTL, one.Key.ExpiresAt)
			}
		}
		return nil
	}))
}

// unlucky is a store that dies at some call, again and again.
type unlucky struct {
	ports.Movable

	calls *int // of those that change something, of both stores
	dies  int  // at this call, after what it does
}

var errDead = errors.New("killed")

func (u unlucky) dead() bool {
	*u.calls++
	return *u.calls == u.dies
}

func (u unlucky) Import(ctx context.Context, all []ports.Stored) []error {
	errs := u.Movable.Import(ctx, all)
	if u.dead() {
		return slices.Repeat([]error{errDead}, len(all))
	}
	return errs
}

func (u unlucky) Remove(ctx context.Context, all []ports.Stored) error {
	return errors.Join(u.Movable.Remove(ctx, all), u.check())
}

func (u unlucky) SetMark(ctx context.Context, mark ports.MoveMark) error {
	return errors.Join(u.Movable.SetMark(ctx, mark), u.check())
}

func (u unlucky) check() error {
	if u.dead() {
		return errDead
	}
	return nil
}

// TestAMoveGoesOnAfterItDied dies after one more change each time, and goes there and back.
func TestAMoveGoesOnAfterItDied(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]string{"embedded": "redis", "redis": "redis in three"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := stores[name](t), stores[there](t)
			c := fill(t, a)
			before := snapshot(t, a, c)
			died := 0
			for dies := 1; ; dies++ {
				calls := 0
				from, to := unlucky{a.Movable, &calls, dies}, unlucky{b.Movable, &calls, dies}
				if _, err := move(t.Context(), from, to); err == nil {
					break
				}
				died++
			}
			require.Greater(t, died, 5)
			requireEmpty(t, a, c)
			requireSame(t, before, snapshot(t, b, c))

			mark, err := a.Mark(t.Context())
			require.NoError(t, err)
			require.Equal(t, ports.MoveLeft, mark.State)
			require.ErrorIs(t, mark.Refusal(), ports.ErrMisconfigured)
			require.ErrorContains(t, mark.Refusal(), "there")
			mark, err = b.Mark(t.Context())
			require.NoError(t, err)
			require.NoError(t, mark.Refusal())

			_, err = application.NewMove(application.MoveOptions{
				From: application.MoveSide{Name: "there", Store: b}, To: application.MoveSide{Name: "here", Store: a},
				NewMove: func() string { return "back" }, Progress: func(application.MoveSum) {},
			}).Run(t.Context())
			require.NoError(t, err)
			requireEmpty(t, b, c)
			requireSame(t, before, snapshot(t, a, c))
			requireKeys(t, a, c)
			requireHandedOut(t, a, c)
		})
	}
}

// shot is what users see of one request.
type shot struct {
	record domain.Record
	letter *domain.DeadLetter
}

func snapshot(t *testing.T, s *store, c content) map[domain.ID]shot {
	t.Helper()
	all := make(map[domain.ID]shot)
	for id := range c.requests {
		rec, err := s.Find(t.Context(), id)
		require.NoError(t, err, id)
		if rec.Status == domain.Processing {
			rec.Status = domain.Pending
		}
		one := shot{record: rec}
		letter, err := s.letters.Find(t.Context(), id)
		if rec.Status.DeadLettered() {
			require.NoError(t, err)
			require.NotNil(t, letter.Request)
			one.letter = &letter
		} else {
			require.ErrorIs(t, err, ports.ErrNotFound)
		}
		all[id] = one
	}
	return all
}

func requireSame(t *testing.T, want, got map[domain.ID]shot) {
	t.Helper()
	require.Len(t, got, len(want))
	for id := range want {
		require.Equal(t, want[id], got[id])
	}
}

func requireEmpty(t *testing.T, s *store, c content) {
	t.Helper()
	require.NoError(t, s.Export(t.Context(), func(some []ports.Stored) error {
		require.Empty(t, some)
		return nil
	}))
	for id := range c.requests {
		_, err := s.State(t.Context(), id)
		require.ErrorIs(t, err, ports.ErrNotFound)
		_, err = s.letters.State(t.Context(), id)
		require.ErrorIs(t, err, ports.ErrNotFound)
	}
	d, err := s.Depths(t.Context())
	require.NoError(t, err)
	d.Approximate = false
	require.Equal(t, ports.Depths{}, d)
}

// requireKeys submits again what has a key.
func requireKeys(t *testing.T, s *store, c content) {
	t.Helper()
	keyed := 0
	for id, r := range c.requests {
		rec, err := s.State(t.Context(), id)
		require.NoError(t, err)
		if r.Idempotency == nil || rec.Status == domain.Failed || rec.Status == domain.Cancelled {
			continue
		}
		keyed++
		r.ID = "repeat-" + id
		answer := s.Accept(t.Context(), []domain.Request{r})[0]
		require.NoError(t, answer.Err)
		require.Equal(t, ports.AcceptedSame, answer.Outcome, "%s %s", id, rec.Status)
		require.Equal(t, id, answer.Record.ID)
		require.Equal(t, rec.Status, answer.Record.Status)
		require.True(t, rec.SubmittedAt.Equal(answer.Record.SubmittedAt))

		other := *r.Idempotency
		other.Fingerprint[3]++
		r.Idempotency = &other
		require.Equal(t, ports.AcceptedMismatch, s.Accept(t.Context(), []domain.Request{r})[0].Outcome)
	}
	require.Greater(t, keyed, 10)
}

// requireHandedOut receives everything that is due, and compares the requests with what was submitted.
func requireHandedOut(t *testing.T, s *store, c content) {
	t.Helper()
	work, _ := s.consume(t.Context())
	got := make(map[domain.ID]int)
	for len(got) < len(c.due) {
		all, err := work.Receive(t.Context(), ports.Credit{Count: 50, Bytes: 1 << 30})
		require.NoError(t, err)
		for _, d := range all {
			want := c.requests[d.Request.ID]
			want.Idempotency = nil // a queue keeps it elsewhere
			require.Equal(t, want, d.Request)
			require.Zero(t, d.Attempts)
			got[d.Request.ID] = d.Deliveries
			require.NoError(t, work.Finish(t.Context(), []ports.Finish{{
				ID: d.Request.ID, Token: d.Token, Outcome: domain.Outcome{Status: domain.Completed, Attempts: 1, At: time.Now()},
			}})[0])
		}
	}
	require.ElementsMatch(t, c.due, slices.Collect(maps.Keys(got)))
	for i, id := range c.due {
		want := 1
		if i < 8 {
			want = 2 // it was held when its worker ended
		}
		require.Equal(t, want, got[id])
	}
}
