package redis_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	largeBody = 1 << 20
	smallKey  = 32 << 10 // more than any key needs that holds no body
)

// bodies looks at what Redis holds of requests.
type bodies struct {
	t      *testing.T
	client *goredis.Client
	opts   redis.Options
}

func (b bodies) key(kind string, id domain.ID) string {
	return "{" + b.opts.Queue + "}:" + kind + ":" + string(id)
}

// memory is what a key takes, in bytes; 0: it is not there.
func (b bodies) memory(key string) int64 {
	b.t.Helper()
	size, err := b.client.MemoryUsage(b.t.Context(), key, 0).Result()
	if !errors.Is(err, goredis.Nil) {
		require.NoError(b.t, err)
	}
	return size
}

// requireLifetime holds the time that a key has left to one that began at its end; 0: for ever.
func (b bodies) requireLifetime(want time.Duration, key string) {
	b.t.Helper()
	left, err := b.client.PTTL(b.t.Context(), key).Result()
	require.NoError(b.t, err)
	if want == 0 {
		require.Equal(b.t, time.Duration(-1), left, "%s", key)
		return
	}
	require.Greater(b.t, left, want-patience, key)
	require.LessOrEqual(b.t, left, want, key)
}

// requireWaiting: while it is unfinished, a request is there once and has no lifetime, whoever runs or not.
func (b bodies) requireWaiting(id domain.ID, held int) {
	b.t.Helper()
	size := b.memory(b.key("r", id))
	require.Greater(b.t, size, int64(held*largeBody))
	require.Less(b.t, size, int64((held+1)*largeBody))
	b.requireLifetime(0, b.key("r", id))
	for _, lane := range []string{"high", "low"} {
		require.Less(b.t, b.memory("{"+b.opts.Queue+"}:q:"+lane+":orders"), int64(smallKey))
	}
}

func TestBodiesAreKeptAsLongAsTheyAreNeeded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give         domain.Status
		wantResponse bool
		wantOriginal bool
	}{
		{give: domain.Completed, wantResponse: true},
		{give: domain.Failed, wantResponse: true, wantOriginal: true},
		{give: domain.TimedOut, wantResponse: true, wantOriginal: true},
		{give: domain.Cancelled},
	}
	s := startServer(t)
	for _, tt := range tests {
		t.Run(string(tt.give), func(t *testing.T) {
			t.Parallel()
			opts := options(s.url())
			opts.Queue = "queue-" + string(tt.give)
			b := bodies{t: t, client: s.client(), opts: opts}
			id := b.end(tt.give)

			record, letter := b.key("r", id), b.key("d", id)
			b.requireLifetime(opts.TTL, record)
			require.Equal(t, tt.wantResponse, b.memory(record) > largeBody, "the response")
			require.Less(t, b.memory(record), int64(2*largeBody), "the request's body is not there any more")
			require.Equal(t, tt.wantOriginal, b.memory(letter) > largeBody, "the original")
			if tt.wantOriginal {
				b.requireLifetime(opts.DeadLetterTTL, letter)
			}
			b.requireNoOther(record, letter)
		})
	}
}

// end makes a request that one attempt answered with a large body, and brings it to its end.
func (b bodies) end(status domain.Status) domain.ID {
	b.t.Helper()
	db, request := openDB(b.t, b.opts), newRequest()
	c := consume(b.t, db)
	request.Body = bytes.Repeat([]byte("q"), largeBody)
	accept(b.t, db, request)
	b.requireWaiting(request.ID, 1)
	b.save(c, domain.Outcome{
		Status: domain.Pending, Attempts: 1, At: time.Now(),
		Response: &domain.Response{StatusCode: 503, Body: bytes.Repeat([]byte("s"), largeBody)},
	})
	b.requireWaiting(request.ID, 2)
	if status == domain.Cancelled {
		_, err := db.Cancel(b.t.Context(), request.ID)
		require.NoError(b.t, err)
		return request.ID
	}
	b.save(c, domain.Outcome{Status: status, Attempts: 2, At: time.Now()})
	return request.ID
}

// save works on the one request.
func (b bodies) save(c *redis.Consumer, out domain.Outcome) {
	b.t.Helper()
	d := receive(b.t, c)
	b.requireLifetime(0, b.key("r", d.Request.ID))
	require.Len(b.t, d.Request.Body, largeBody)
	require.NoError(b.t, c.Finish(b.t.Context(), []ports.Finish{{ID: d.Request.ID, Token: d.Token, Outcome: out}})[0])
}

// requireNoOther looks for bodies under all keys of the queue but these.
func (b bodies) requireNoOther(but ...string) {
	b.t.Helper()
	keys, err := b.client.Keys(b.t.Context(), "{"+b.opts.Queue+"}*").Result()
	require.NoError(b.t, err)
	for _, key := range keys {
		if key != but[0] && key != but[1] {
			require.Less(b.t, b.memory(key), int64(smallKey), key)
		}
	}
}
