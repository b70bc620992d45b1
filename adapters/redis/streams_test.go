package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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
	otherStream = "openhqm-others" // which other programs write, or read
	room        = 1 << 30          // bytes that one Receive may return
)

// add writes to the plain stream as other programs do.
func add(t *testing.T, client goredis.UniversalClient, payload string) {
	t.Helper()
	addTo(t, client, plainStream, "payload", payload)
}

func addTo(t *testing.T, client goredis.UniversalClient, stream string, values ...string) string {
	t.Helper()
	id, err := client.XAdd(t.Context(), &goredis.XAddArgs{Stream: stream, Values: values}).Result()
	require.NoError(t, err)
	return id
}

func inlet(t *testing.T, db *redis.DB, stream string) ports.Receiver {
	t.Helper()
	in, err := db.Inlet(t.Context(), stream)
	require.NoError(t, err)
	return in
}

func outlet(t *testing.T, db *redis.DB, stream string) ports.Publisher {
	t.Helper()
	out, err := db.Outlet(t.Context(), stream)
	require.NoError(t, err)
	return out
}

// receiveSome receives at least one message.
func receiveSome(t *testing.T, in ports.Receiver, count int, bytes int64) []ports.Received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	received, err := in.Receive(ctx, count, bytes)
	require.NoError(t, err)
	require.NotEmpty(t, received)
	return received
}

// settleAll receives and settles until the test ends.
func settleAll(t *testing.T, in ports.Receiver) {
	t.Helper()
	run(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			received, err := in.Receive(ctx, 64, room)
			for i := range received {
				in.Settle([]ports.Ticket{received[i].Ticket})
			}
			if err != nil && ctx.Err() == nil {
				return err
			}
		}
		return nil
	})
}

func TestAnInletHandsOutWhatOtherProgramsWrite(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	first := addTo(t, client, otherStream, "payload", "hello", "more", "ignored") // before anybody is there
	in := inlet(t, openDB(t, options(s.url())), otherStream)
	got := receiveSome(t, in, 1, room)[0]
	require.Equal(t, "hello", string(got.Value))
	require.Equal(t, first, got.Place)
	millis, err := strconv.ParseInt(strings.Split(first, "-")[0], 10, 64)
	require.NoError(t, err)
	require.Equal(t, time.UnixMilli(millis).UTC(), got.Arrived)
	require.EqualValues(t, 1, client.XLen(t.Context(), otherStream).Val(), "it is not settled")
	in.Settle([]ports.Ticket{got.Ticket})
	requireSettled(t, client, otherStream)

	empty := addTo(t, client, otherStream, "data", "hello", "\xff", "\x00", "data", "again", "", "")
	got = receiveSome(t, in, 1, room)[0]
	require.Equal(t, empty, got.Place)
	require.Nil(t, got.Value, "it has no payload")
	require.Equal(t, []domain.Field{
		{Name: "data", Value: "hello"}, {Name: "\xff", Value: "\x00"}, {Name: "data", Value: "again"}, {},
	}, got.Fields, "as they are, in their order")
}

// TestAnEntryWhoseIDIsNoTimeArrivesNow has ids that a producer wrote, and one that Redis had to make after them.
func TestAnEntryWhoseIDIsNoTimeArrivesNow(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	for _, id := range []string{"1-1", "1767323045-0", "9999999999999-0", "*"} {
		require.NoError(t, client.XAdd(t.Context(), &goredis.XAddArgs{
			Stream: otherStream, ID: id, Values: []string{"payload", id},
		}).Err())
	}
	require.NoError(t, client.XAdd(t.Context(), &goredis.XAddArgs{
		Stream: otherStream, ID: "18446744073709551615-1", Values: []string{"payload", "the last there can be"},
	}).Err())
	before := time.Now().Truncate(time.Millisecond)
	in := inlet(t, openDB(t, options(s.url())), otherStream)
	for range 5 {
		got := receiveSome(t, in, 1, room)[0]
		require.WithinRange(t, got.Arrived, before, time.Now(), got.Place)
	}
}

// TestAStreamOfResultsIsBounded publishes one at a time and many at once.
func TestAStreamOfResultsIsBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := retaining(s.url())
	opts.MostEntries = map[string]int64{otherStream: 1000}
	db := openDB(t, opts)
	bounded, other := outlet(t, db, otherStream), outlet(t, db, "openhqm-unbounded")
	for range 30 {
		many := make([]string, 100)
		require.Equal(t, make([]error, 100), publish(t, bounded, many...))
		require.Equal(t, make([]error, 100), publish(t, other, many...))
	}
	for range 300 {
		require.Equal(t, []error{nil}, publish(t, bounded, "one"))
	}
	length := s.client().XLen(t.Context(), otherStream).Val()
	require.GreaterOrEqual(t, length, int64(1000))
	require.LessOrEqual(t, length, int64(1200), "Redis removes whole nodes of 100 entries")
	require.EqualValues(t, 3000, s.client().XLen(t.Context(), "openhqm-unbounded").Val())
}

// TestAnInletStaysWithinCountAndBytes reads new entries, and then again those that a process has not settled.
func TestAnInletStaysWithinCountAndBytes(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "no")
	const large, small, size = 8, 100, 6 << 20
	for i := range large + small {
		payload := strconv.Itoa(i)
		if i < large {
			payload = strings.Repeat("x", size)
		}
		addTo(t, s.client(), otherStream, "payload", payload)
	}
	for _, tt := range []struct {
		name   string
		lease  time.Duration
		settle bool
	}{{"new", time.Minute, false}, {"abandoned", time.Millisecond, true}} {
		opts := options(s.url())
		opts.Lease = tt.lease
		in := inlet(t, openDB(t, opts), otherStream)
		calls, whole := 0, make(map[string]bool)
		for ; len(whole) < large+small; calls++ {
			received := receiveSome(t, in, 64, 16<<20)
			require.LessOrEqual(t, len(received), 64)
			together := 0
			for i := range received {
				together += len(received[i].Value)
				whole[received[i].Place] = true
				if tt.settle {
					in.Settle([]ports.Ticket{received[i].Ticket})
				}
			}
			require.LessOrEqual(t, together, 16<<20, tt.name)
		}
		require.Less(t, calls, 14, "what is small comes many at a time: %s", tt.name)
	}
	requireSettled(t, s.client(), otherStream)
}

func TestTheFirstMessageMayBeLargerThanTheBytes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	in := inlet(t, openDB(t, options(s.url())), otherStream)
	for range 3 {
		addTo(t, s.client(), otherStream, "payload", "hello")
	}
	for range 3 {
		require.Len(t, receiveSome(t, in, 10, 1), 1)
	}
}

// TestWhatADeadProcessReceivedIsHandedOut reads an entry as another process, which never settles it.
func TestWhatADeadProcessReceivedIsHandedOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Lease = 100 * time.Millisecond
	client := s.client()
	place := addTo(t, client, otherStream, "payload", "hello")
	dying := openDB(t, opts)
	receiveSome(t, inlet(t, dying, otherStream), 1, room)
	require.NoError(t, dying.Close())
	in := inlet(t, openDB(t, opts), otherStream)
	got := receiveSome(t, in, 1, room)[0]
	require.Equal(t, place, got.Place)
	in.Settle([]ports.Ticket{got.Ticket})
	requireSettled(t, client, otherStream)
}

// TestAnInletGoesOnAfterRedisCameBackEmpty takes away the group.
func TestAnInletGoesOnAfterRedisCameBackEmpty(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "no")
	db := openDB(t, options(s.url()))
	settleAll(t, inlet(t, db, otherStream))
	for range 2 {
		addTo(t, s.client(), otherStream, "payload", "hello")
		requireSettled(t, s.client(), otherStream)
		require.NoError(t, s.stop())
		require.NoError(t, s.start())
		require.Eventually(t, func() bool { return db.Probe(t.Context()) == nil }, patience, 10*time.Millisecond)
	}
}

// TestSettleDoesNotWait settles while Redis is away, for whom the entries stay until it is back.
func TestSettleDoesNotWait(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	in := inlet(t, openDB(t, options(s.url())), otherStream)
	addTo(t, s.client(), otherStream, "payload", "hello")
	got := receiveSome(t, in, 1, room)[0]
	require.NoError(t, s.stop())
	in.Settle([]ports.Ticket{got.Ticket, "of another receiver"})
	require.NoError(t, s.start())
	requireSettled(t, s.client(), otherStream)
}

// TestCloseSettlesFirst settles right before.
func TestCloseSettlesFirst(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	for range 20 {
		db := openDB(t, options(s.url()))
		in := inlet(t, db, otherStream)
		addTo(t, client, otherStream, "payload", "hello")
		got := receiveSome(t, in, 1, room)[0]
		in.Settle([]ports.Ticket{got.Ticket})
		require.NoError(t, db.Close())
		require.Zero(t, client.XLen(t.Context(), otherStream).Val())
	}
}

// TestCloseTriesOnceToSettleWhileRedisHangs closes while the first try is under way.
func TestCloseTriesOnceToSettleWhileRedisHangs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	network := testkit.StartFaultProxy(t, s.address)
	db := openDB(t, options("redis://"+network.Address))
	in := inlet(t, db, otherStream)
	addTo(t, s.client(), otherStream, "payload", "hello")
	got := receiveSome(t, in, 1, room)[0]
	network.SetSilent(true)
	in.Settle([]ports.Ticket{got.Ticket})
	probing, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, db.Probe(probing), ports.ErrUnavailable, "the try begins meanwhile")
	closed := time.Now()
	require.NoError(t, db.Close())
	require.Less(t, time.Since(closed), redis.ReplyTimeout*3/2)
}

func TestReceiveEndsWithItsContextAndWithTheDatabase(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	in := inlet(t, db, otherStream)
	over, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for _, ctx := range []context.Context{over, context.Background()} {
		go func() {
			_, err := in.Receive(ctx, 1, room)
			ended <- err
		}()
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Empty(t, ended, "it goes on")
	require.NoError(t, db.Close())
	require.ErrorIs(t, <-ended, ports.ErrClosed)
	_, err := in.Receive(t.Context(), 1, room)
	require.ErrorIs(t, err, ports.ErrClosed)
	_, err = db.Inlet(t.Context(), otherStream)
	require.ErrorIs(t, err, ports.ErrClosed)
	_, err = db.Outlet(t.Context(), otherStream)
	require.ErrorIs(t, err, ports.ErrClosed)
}

func TestAStreamNeedsAName(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	_, err := db.Inlet(t.Context(), "")
	require.ErrorContains(t, err, "must not be empty")
	_, err = db.Outlet(t.Context(), "")
	require.ErrorContains(t, err, "must not be empty")
}

func publish(t *testing.T, out ports.Publisher, values ...string) []error {
	t.Helper()
	messages := make([]ports.QueueMessage, len(values))
	for i, value := range values {
		messages[i].Value = []byte(value)
	}
	return out.Publish(t.Context(), messages)
}

func TestAnOutletPublishesForOtherPrograms(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	db := openDB(t, retaining(s.url()))
	out := outlet(t, db, otherStream)
	require.Equal(t, []error{nil, nil}, publish(t, out, "one", "two"))
	entries, err := client.XRange(t.Context(), otherStream, "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, map[string]any{"payload": "one"}, entries[0].Values)
	require.Equal(t, map[string]any{"payload": "two"}, entries[1].Values)

	require.NoError(t, client.Set(t.Context(), otherStream, "no stream", 0).Err())
	for _, err := range publish(t, out, "one", "two") {
		require.ErrorIs(t, err, ports.ErrUnavailable)
	}
	require.NoError(t, db.Close())
	require.Equal(t, []error{ports.ErrClosed}, publish(t, out, "one"))
}

// TestOutletsAreInSlotsOfTheirOwn has a Cluster.
func TestOutletsAreInSlotsOfTheirOwn(t *testing.T) {
	t.Parallel()
	url := startCluster(t)
	db := openDB(t, retaining(url))
	for _, stream := range []string{"a-slot-of-its-own", "and-another"} {
		in := inlet(t, db, stream)
		require.Equal(t, []error{nil}, publish(t, outlet(t, db, stream), "hello"))
		got := receiveSome(t, in, 1, room)[0]
		require.Equal(t, "hello", string(got.Value))
		in.Settle([]ports.Ticket{got.Ticket})
		requireSettled(t, clusterClient(t, url), stream)
	}
}

func TestWhatIsPublishedIsTrimmed(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--stream-node-max-entries", "1") // "~" keeps what shares a node with what stays
	client := s.client()
	old := fmt.Sprintf("%d-0", time.Now().Add(-2*time.Hour).UnixMilli())
	recent := fmt.Sprintf("%d-0", time.Now().Add(-30*time.Minute).UnixMilli())
	for _, id := range []string{old, recent} {
		require.NoError(t, client.XAdd(t.Context(), &goredis.XAddArgs{
			Stream: otherStream, ID: id, Values: []string{"payload", "x"},
		}).Err())
	}
	out := outlet(t, openDB(t, retaining(s.url())), otherStream)
	require.Equal(t, []error{nil}, publish(t, out, "y"))
	entries, err := client.XRange(t.Context(), otherStream, "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, recent, entries[0].ID)
}
