package redis_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func users(t *testing.T, db *redis.DB) string {
	t.Helper()
	text, err := db.Users(t.Context())
	require.NoError(t, err)
	return text
}

func TestAProcessIsAUserFromItsClaimToItsEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	mover, process := openDB(t, options(s.url())), openDB(t, options(s.url()))
	require.Empty(t, users(t, mover))
	require.NoError(t, process.Claim(t.Context(), "redis"))
	require.Contains(t, users(t, mover), "1 processes run (")
	require.NoError(t, process.Close())
	require.Empty(t, users(t, mover))

	client := s.client()
	key, now := "{openhqm-requests}:processes", time.Now()
	require.NoError(t, client.ZAdd(t.Context(), key,
		goredis.Z{Score: float64(now.Add(-10 * time.Second).UnixMilli()), Member: "redis/killed just now"},
		goredis.Z{Score: float64(now.Add(-20 * time.Second).UnixMilli()), Member: "killed"},
		goredis.Z{Score: float64(now.Add(-2 * time.Hour).UnixMilli()), Member: "killed long ago"}).Err())
	require.Equal(t, "1 processes run (redis/killed just now)", users(t, mover))
	require.NoError(t, mover.Claim(t.Context(), "redis"))
	require.ErrorIs(t, client.ZScore(t.Context(), key, "killed long ago").Err(), goredis.Nil)
	require.NoError(t, client.ZScore(t.Context(), key, "killed").Err())
}

// TestAProcessThatStoodStillDuringAMoveEnds holds that it accepts no more than a moment.
func TestAProcessThatStoodStillDuringAMoveEnds(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	mover, process := openDB(t, options(s.url())), openDB(t, options(s.url()))
	require.NoError(t, process.Claim(t.Context(), "redis"))
	brief, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, process.AwaitMove(brief))
	require.NoError(t, mover.SetMark(t.Context(), ports.MoveMark{State: ports.MoveLeft, Move: "1", Peer: "elsewhere"}))
	err := process.AwaitMove(t.Context())
	require.ErrorIs(t, err, ports.ErrMisconfigured)
	require.ErrorContains(t, err, "moved to elsewhere")
}

func TestAWorkerThatHoldsSomethingIsAUser(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Lease = time.Second
	db := openDB(t, opts)
	accept(t, db, newRequest())
	life, end := context.WithCancel(t.Context())
	c, wait := db.NewConsumer(life)
	receive(t, c)
	require.Contains(t, users(t, db), "workers hold 1 requests")
	end()
	wait()
	require.Eventually(t, func() bool { return users(t, db) == "" }, patience, 10*time.Millisecond)
}

func TestAMarkedQueueCannotBeClaimed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db, mover := openDB(t, options(s.url())), openDB(t, options(s.url()))
	for _, state := range []ports.MoveState{ports.MoveLeaving, ports.MoveLeft, ports.MoveArriving} {
		mark := ports.MoveMark{State: state, Move: "one", Peer: "redis elsewhere:6379"}
		require.NoError(t, mover.SetMark(t.Context(), mark))
		got, err := db.Mark(t.Context())
		require.NoError(t, err)
		require.Equal(t, mark, got)
		err = db.Claim(t.Context(), "redis")
		require.ErrorIs(t, err, ports.ErrMisconfigured)
		require.ErrorContains(t, err, "redis elsewhere:6379")
		require.Empty(t, users(t, mover), "it does not stay")
	}
	require.NoError(t, mover.SetMark(t.Context(), ports.MoveMark{}))
	require.NoError(t, db.Claim(t.Context(), "redis"))
}

func TestAnIDThatIsInUseIsAConflict(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			t.Parallel()
			opts := options(startServer(t).url())
			opts.Shards = shards
			db := openDB(t, opts)
			there, other := newRequest(), newRequest()
			there.Idempotency = &domain.Idempotency{Key: "key", ExpiresAt: time.Now().Add(time.Hour)}
			accept(t, db, there)
			stored := func(r domain.Request, key *ports.StoredIdempotency) ports.Stored {
				return ports.Stored{ID: r.ID, Request: &r, Key: key, Record: &domain.Record{
					ID: r.ID, Status: domain.Pending, Endpoint: r.Endpoint, SubmittedAt: r.SubmittedAt, Deadline: r.Deadline,
				}}
			}
			impostor := there
			impostor.Endpoint = "another"
			key := &ports.StoredIdempotency{Idempotency: *there.Idempotency, SubmittedAt: there.SubmittedAt}
			errs := db.Import(t.Context(), []ports.Stored{
				stored(there, key), stored(impostor, key), stored(other, key), {ID: other.ID, Key: key}, {ID: there.ID, Key: key},
			})
			require.Equal(t, []error{nil, ports.ErrConflict, ports.ErrConflict, ports.ErrConflict, nil}, errs)
			_, err := db.State(t.Context(), other.ID)
			require.ErrorIs(t, err, ports.ErrNotFound)
		})
	}
}

func TestWhatOtherProgramsAreOwedKeepsAQueue(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Retention = time.Hour
	db := openDB(t, opts)
	owed := func() string {
		text, err := db.Owed(t.Context())
		require.NoError(t, err)
		return text
	}
	require.Empty(t, owed())
	client := s.client()
	require.NoError(t, client.XAdd(t.Context(), &goredis.XAddArgs{
		Stream: "openhqm-requests", Values: []string{"payload", "{}"},
	}).Err())
	require.Contains(t, owed(), "1 messages are in the stream openhqm-requests")
	require.NoError(t, client.Del(t.Context(), "openhqm-requests").Err())

	outbox := db.Outbox(ports.NoticeResult)
	_, err := outbox.Due(t.Context()) // from now on results are owed
	require.NoError(t, err)
	c := consume(t, db)
	accept(t, db, newRequest())
	finish(t, c, receive(t, c), domain.Completed)
	require.Contains(t, owed(), "1 notices")
	outbox.Wait(t.Context())
	notices, err := outbox.Due(t.Context())
	require.NoError(t, err)
	require.NoError(t, outbox.Done(t.Context(), notices))
	require.Empty(t, owed())
}

// TestAMoveNeedsOneMorePermission moves out of a Cluster, as the documented user.
func TestAMoveNeedsOneMorePermission(t *testing.T) {
	t.Parallel()
	url := startCluster(t)
	admin := clusterClient(t, url)
	allow := func(more ...string) {
		t.Helper()
		require.NoError(t, admin.ForEachMaster(t.Context(), func(ctx context.Context, node *goredis.Client) error {
			rules := slices.Concat(documentedUser(t), more)
			args := make([]any, len(rules))
			for i, rule := range rules {
				args[i] = rule
			}
			return node.Do(ctx, args...).Err()
		}))
	}
	allow()
	opts := options(asUser(url))
	opts.Shards = 3
	db := openDB(t, opts)
	c := consume(t, db)
	ended := newRequest()
	accept(t, db, ended)
	finish(t, c, receive(t, c), domain.Failed)
	for range 100 {
		accept(t, db, newRequest())
	}
	found := make(map[domain.ID]bool)
	visit := func(some []ports.Stored) error {
		for _, one := range some {
			require.NotNil(t, one.Record)
			found[one.ID] = true
		}
		return db.Remove(t.Context(), some)
	}
	err := db.Export(t.Context(), visit)
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.ErrorContains(t, err, "does not allow this user")

	allow("+scan")
	require.NoError(t, db.Export(t.Context(), visit))
	require.Len(t, found, 101)
	require.NoError(t, db.Export(t.Context(), func(some []ports.Stored) error {
		require.Empty(t, some)
		return nil
	}))
}
