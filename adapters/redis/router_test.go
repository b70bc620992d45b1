package redis_test

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// route runs a router until the returned function is called, which waits for its end.
func route(t *testing.T, db *redis.DB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- db.Route(ctx, envelope.Reader{DefaultEndpoint: "orders", MaxAge: time.Hour, MaxSize: 1 << 20})
	}()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

func add(t *testing.T, client goredis.UniversalClient, payload string) string {
	t.Helper()
	id, err := client.XAdd(t.Context(), &goredis.XAddArgs{
		Stream: "openhqm-requests", Values: []string{"payload", payload},
	}).Result()
	require.NoError(t, err)
	return id
}

func TestMessagesOfOthersBecomeRequests(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	client := s.client()
	add(t, client, `{"correlation_id": "mine", "payload": {"n": 1e400 }, "headers": {"X-A": "b"},
		"timestamp": "2026-01-02T03:04:05Z", "metadata": {"retry_count": 0}}`)
	defer route(t, db)()
	c := consume(t, db)
	d := receive(t, c)
	require.Equal(t, domain.ID("mine"), d.Request.ID)
	require.Equal(t, "orders", d.Request.Endpoint)
	require.Equal(t, `{"n": 1e400 }`, string(d.Request.Body))
	require.Equal(t, "b", d.Request.Header.Get("X-A"))
	finish(t, c, d, domain.Completed)

	entry := add(t, client, `{"metadata": {"endpoint": "mails"}, "payload": 1}`)
	d = receive(t, c)
	require.Equal(t, domain.ID("stream-"+entry), d.Request.ID, "derived from its place")
	require.Equal(t, "mails", d.Request.Endpoint)
	require.Eventually(t, func() bool { return client.XLen(t.Context(), "openhqm-requests").Val() == 0 },
		patience, 10*time.Millisecond, "what is taken in leaves the stream")
}

func TestAttemptsThatOthersChargedCount(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	add(t, s.client(), `{"correlation_id": "mine", "metadata": {"retry_count": 2, "max_attempts": 3}}`)
	defer route(t, db)()
	d := receive(t, consume(t, db))
	require.Equal(t, 2, d.Attempts)
	require.Equal(t, 3, d.Request.MaxAttempts)
	require.Equal(t, 1, d.Deliveries, "which is another thing")
	rec, err := db.State(t.Context(), "mine")
	require.NoError(t, err)
	require.Equal(t, 2, rec.Attempts)
}

func TestMessagesThatCannotBeReadBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	client := s.client()
	unreadable := domain.ID("stream-" + add(t, client, "oops"))
	add(t, client, `{"correlation_id": "fine"}`)
	defer route(t, db)()
	require.Equal(t, domain.ID("fine"), receive(t, consume(t, db)).Request.ID)
	rec, err := db.Wait(t.Context(), unreadable)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, rec.Status)
	letter, err := db.DeadLetters().Find(t.Context(), unreadable)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonUndecodable, letter.Reason)
	require.Contains(t, letter.Error, "JSON")
	require.Nil(t, letter.Request)
	kept, err := client.HGet(t.Context(), "{openhqm-requests}:d:"+string(unreadable), "message").Result()
	require.NoError(t, err)
	require.Equal(t, "oops", kept, "the original is kept")
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, depths.DeadLetters)
}

// TestWhatADeadRouterHadReadIsTakenOver reads an entry as another process, which never settles it.
func TestWhatADeadRouterHadReadIsTakenOver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Lease = 100 * time.Millisecond
	db := openDB(t, opts)
	client := s.client()
	const stream, group = "openhqm-requests", "openhqm"
	require.NoError(t, client.XGroupCreateMkStream(t.Context(), stream, group, "0").Err())
	add(t, client, `{"correlation_id": "mine"}`)
	require.NoError(t, client.XReadGroup(t.Context(), &goredis.XReadGroupArgs{
		Group: group, Consumer: "dead", Streams: []string{stream, ">"},
	}).Err())
	defer route(t, db)()
	require.Equal(t, domain.ID("mine"), receive(t, consume(t, db)).Request.ID)
}

func TestAMessageThatComesTwiceIsOneRequest(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	client := s.client()
	for range 3 {
		add(t, client, `{"correlation_id": "mine"}`)
	}
	add(t, client, `{"correlation_id": "last"}`)
	defer route(t, db)()
	c := consume(t, db)
	require.ElementsMatch(t, []domain.ID{"mine", "last"},
		[]domain.ID{receive(t, c).Request.ID, receive(t, c).Request.ID})
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{Leased: 2}, depths)
}
