package redis_test

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

const plainStream = "openhqm-requests"

func handover(url string) redis.Options {
	opts := options(url)
	opts.Handover = true
	return opts
}

// handoverTo makes requests notices on their way to another broker.
func handoverTo(url string) redis.Options {
	opts := handover(url)
	opts.HandoverOutbox = true
	return opts
}

// handedOver lists the messages in the plain stream.
func handedOver(t *testing.T, client goredis.UniversalClient) []envelope.Message {
	t.Helper()
	entries, err := client.XRange(t.Context(), plainStream, "-", "+").Result()
	require.NoError(t, err)
	messages := make([]envelope.Message, len(entries))
	for i, entry := range entries {
		payload, _ := entry.Values["payload"].(string)
		messages[i], err = envelope.Decode([]byte(payload), time.Now(), 1<<24)
		require.NoError(t, err)
	}
	return messages
}

func handedOverIDs(t *testing.T, client goredis.UniversalClient) []domain.ID {
	t.Helper()
	ids := []domain.ID{}
	for _, m := range handedOver(t, client) {
		ids = append(ids, m.Request.ID)
	}
	return ids
}

func TestRequestsAreHandedOverToOtherPrograms(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, handover(s.url()))
	large := newRequest()
	large.Method, large.Path, large.Query = "PUT", "/a", "b=c"
	large.Header = domain.Header{"X-A": {"b", "c"}, "Content-Type": {"application/octet-stream"}}
	large.Body = make([]byte, 2*envelope.MaxInlineBody)
	accept(t, db, large)
	accept(t, db, large) // sent again
	require.Equal(t, []envelope.Message{{Request: large}}, handedOver(t, s.client()), "once, whole and in the message")

	rec, err := db.State(t.Context(), large.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Pending, rec.Status)
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, depths.Ready)
	require.WithinDuration(t, time.Now(), depths.OldestReady, patience)
}

func TestDelayedRequestsAreHandedOverWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, handover(s.url()))
	soon, cancelled := newRequest(), newRequest()
	soon.NotBefore = time.Now().UTC().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	cancelled.NotBefore = soon.NotBefore
	accept(t, db, soon)
	accept(t, db, cancelled)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{Delayed: 1}, depths)
	require.Empty(t, handedOver(t, s.client()))
	require.Eventually(t, func() bool { return len(handedOver(t, s.client())) > 0 }, patience, 10*time.Millisecond)
	require.Equal(t, []envelope.Message{{Request: soon}}, handedOver(t, s.client()))
	require.False(t, time.Now().Before(soon.NotBefore), "not too early")
	for _, id := range []domain.ID{soon.ID, cancelled.ID} {
		kept, err := s.client().HExists(t.Context(), "{openhqm-requests}:r:"+string(id), "message").Result()
		require.NoError(t, err)
		require.False(t, kept, "the message is where it belongs")
	}
}

func TestWhatIsFinalIsTakenBackFromOtherPrograms(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, handover(s.url()))
	cancelled, late, waiting := newRequest(), newRequest(), newRequest()
	late.Deadline = time.Now().Add(-time.Minute)
	accept(t, db, cancelled)
	accept(t, db, waiting)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	accept(t, db, late)
	rec, err := db.Wait(t.Context(), late.ID)
	require.NoError(t, err)
	require.Equal(t, domain.TimedOut, rec.Status)
	require.Equal(t, []domain.ID{waiting.ID}, handedOverIDs(t, s.client()))
	letter, err := db.DeadLetters().Find(t.Context(), late.ID)
	require.NoError(t, err)
	require.Equal(t, late.Body, letter.Request.Body, "it can be sent again")
}

func TestHandedOverRequestsAreLimitedAndKeyed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handover(s.url())
	opts.MaxDepth = 1
	db := openDB(t, opts)
	first, again := newRequest(), newRequest()
	first.Idempotency = &domain.Idempotency{Key: "key", ExpiresAt: time.Now().Add(time.Hour)}
	again.Idempotency = first.Idempotency
	accept(t, db, first)
	answer := db.Accept(t.Context(), []domain.Request{again})[0]
	require.NoError(t, answer.Err)
	require.Equal(t, ports.AcceptedSame, answer.Outcome)
	require.Equal(t, first.ID, answer.Record.ID)
	require.ErrorIs(t, tryAccept(t.Context(), db, newRequest()), ports.ErrFull)
	require.Equal(t, []domain.ID{first.ID}, handedOverIDs(t, s.client()))
}

func TestHandoverIsForOneQueueOnly(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handover(s.url())
	opts.Shards = 2
	_, err := redis.Open(t.Context(), opts)
	require.ErrorContains(t, err, "redis.shards must be 1")

	db := openDB(t, handover(s.url()))
	_, err = db.Inlet(t.Context(), plainStream)
	require.ErrorContains(t, err, "nothing is received from it")
	_, err = redis.Open(t.Context(), options(s.url()))
	require.ErrorContains(t, err, "workers of other programs")

	opts = options(s.url())
	opts.Queue = "another"
	openDB(t, opts)
	opts.Handover = true
	_, err = redis.Open(t.Context(), opts)
	require.ErrorContains(t, err, "our own workers")
}

func TestRequestsAreHandedOverToAnotherBroker(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handoverTo(s.url())
	opts.Shards = 3
	db := openDB(t, opts)
	now, later, cancelled, late := newRequest(), newRequest(), newRequest(), newRequest()
	now.Header = domain.Header{"X-A": {"b", "c"}, "Content-Type": {"application/octet-stream"}}
	now.Body = make([]byte, 2*envelope.MaxInlineBody)
	later.NotBefore = time.Now().UTC().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	late.Deadline = time.Now().Add(-time.Minute)
	for _, r := range []domain.Request{now, now, later, cancelled, late} {
		accept(t, db, r)
	}
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)
	rec, err := db.Wait(t.Context(), late.ID)
	require.NoError(t, err)
	require.Equal(t, domain.TimedOut, rec.Status)

	owed := workOff(t, db, ports.NoticeHandover).await(t, 2) // what has ended by now is not handed over
	require.False(t, time.Now().Before(later.NotBefore), "not too early")
	for i, want := range []domain.Request{now, later} {
		require.Equal(t, &want, owed[i].Request, "once and whole")
		require.Equal(t, domain.Pending, owed[i].Record.Status)
	}
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, depths.Ready, "until they are final")
	require.WithinDuration(t, time.Now(), depths.OldestReady, patience)
	require.Zero(t, s.client().Exists(t.Context(), plainStream).Val())

	require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: now.ID, Status: domain.Completed}})[0])
	_, err = db.Cancel(t.Context(), later.ID)
	require.NoError(t, err, "one that was handed over can be cancelled, and its result changes nothing")
	require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: later.ID, Status: domain.Completed}})[0])
	rec, err = db.State(t.Context(), later.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Cancelled, rec.Status)
	depths, err = db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{DeadLetters: 1}, depths)
}

func TestAQueueIsForWorkersOfOneBroker(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := handoverTo(s.url())
	openDB(t, opts)
	tests := []struct {
		name string
		give func(*redis.Options)
		want string
	}{
		{"more shards", func(o *redis.Options) { o.Shards = 2 }, "redis.shards is 2, but the queue was created with 1"},
		{"of redis", func(o *redis.Options) { o.HandoverOutbox = false }, "workers that read another broker"},
		{"our own", func(o *redis.Options) { o.Handover = false }, "workers of other programs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given := opts
			tt.give(&given)
			_, err := redis.Open(t.Context(), given)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// TestHandoverOnACluster uses the plain stream and the keys of the queue in one script.
func TestHandoverOnACluster(t *testing.T) {
	t.Parallel()
	url := startCluster(t)
	client := clusterClient(t, url)
	db := openDB(t, handover(url))
	now, later := newRequest(), newRequest()
	later.NotBefore = time.Now().Add(200 * time.Millisecond)
	accept(t, db, now)
	accept(t, db, later)
	require.Eventually(t, func() bool { return len(handedOver(t, client)) == 2 }, patience, 10*time.Millisecond)
	require.Equal(t, []domain.ID{now.ID, later.ID}, handedOverIDs(t, client))
	require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: now.ID, Status: domain.Completed}})[0])
	rec, err := db.State(t.Context(), now.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, rec.Status)
	require.Equal(t, []domain.ID{later.ID}, handedOverIDs(t, client))
}

// clusterClient is a connection of the test's own.
func clusterClient(t *testing.T, url string) *goredis.ClusterClient {
	t.Helper()
	opts, err := goredis.ParseClusterURL(url)
	require.NoError(t, err)
	client := goredis.NewClusterClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}
