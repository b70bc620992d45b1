package embedded

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

const largeBody = 1 << 20

// heavy counts the rows that hold a body, by prefix; all others are small.
func (db *DB) heavy(t *testing.T) map[string]int {
	t.Helper()
	n := make(map[string]int)
	require.NoError(t, db.scan([]byte{0}, []byte{255}, func(key, value []byte) (bool, error) {
		if len(value) > 1<<10 {
			n[string(key[:1])]++
		}
		return true, nil
	}))
	return n
}

func TestBodiesLieBesideTheQueue(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	large := func(r *domain.Request) { r.Body = bytes.Repeat([]byte("q"), largeBody) }
	later := func(r *domain.Request) { r.NotBefore = c.Now().Add(time.Minute) }
	ready, delayed, retried := newRequest(c.Now(), large), newRequest(c.Now(), large, later), newRequest(c.Now(), large)
	accept(t, db, retried)
	again := outcome(domain.Pending, c.Now())
	again.NextAttemptAt = c.Now().Add(time.Minute)
	again.Response = &domain.Response{StatusCode: 503, Body: bytes.Repeat([]byte("s"), largeBody)}
	finish(t, w, receive(t, w, 1)[0], again)
	accept(t, db, ready, delayed)

	require.Equal(t, map[string]int{"q": 3, "s": 1}, db.heavy(t), "each request once, and one response")
	n := db.count(t)
	require.Equal(t, 1, n["w"])
	require.Equal(t, 2, n["d"])
}

// What waits is there when the process comes back, be it long after its deadline.
func TestBodiesAreKeptWhileNothingRuns(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("q"), largeBody)
	tests := []struct {
		name   string
		away   time.Duration // of the hour that the request has
		status domain.Status
	}{
		{name: "until just before its deadline", away: time.Hour - time.Millisecond, status: domain.Pending},
		{name: "for days", away: 72 * time.Hour, status: domain.TimedOut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			opts := testOptions(t.TempDir(), c.Now)
			db := open(t, opts)
			request := newRequest(c.Now(), func(r *domain.Request) { r.Body = body })
			accept(t, db, request)
			require.NoError(t, db.Close())
			c.mu.Lock()
			c.now = c.now.Add(tt.away)
			c.mu.Unlock()

			db = open(t, opts)
			c.advance(t, db, 0)

			record, err := db.Find(t.Context(), request.ID)
			require.NoError(t, err)
			require.Equal(t, tt.status, record.Status)
			if tt.status == domain.Pending {
				require.True(t, bytes.Equal(body, receive(t, consume(t, db), 1)[0].Request.Body))
				return
			}
			letter, err := db.DeadLetters().Find(t.Context(), request.ID)
			require.NoError(t, err)
			require.True(t, bytes.Equal(body, letter.Request.Body))
		})
	}
}
