package redis_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/tests/testkit"
)

// TestLargeMessagesAreReadAFewAtATime reads new entries, and then again those that nobody settled.
func TestLargeMessagesAreReadAFewAtATime(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "no")
	const large, small, size = 8, 100, 6 << 20
	for i := range large + small {
		payload := strconv.Itoa(i)
		if i < large {
			payload = strings.Repeat("x", size)
		}
		add(t, s.client(), payload)
	}
	for _, tt := range []struct {
		name   string
		lease  time.Duration
		settle bool
	}{{"new", time.Minute, false}, {"abandoned", time.Millisecond, true}} {
		opts := options(s.url())
		opts.Lease = tt.lease
		r := openDB(t, opts).NewReader(plainStream)
		reads, whole := 0, 0
		for end := time.Now().Add(patience); whole < large+small && time.Now().Before(end); reads++ {
			entries, err := r.Next(t.Context())
			require.NoError(t, err)
			require.LessOrEqual(t, len(entries), 64)
			together := 0
			for i := range entries {
				payload, _ := entries[i].Values["payload"].(string)
				together, whole = together+len(payload), whole+1
				if tt.settle {
					require.NoError(t, r.Settle(t.Context(), entries[i].ID))
				}
			}
			require.Less(t, together, 16<<20+size, "what is large comes a few at a time: %s", tt.name)
		}
		require.Equal(t, large+small, whole, tt.name)
		require.Less(t, reads, 12, "what is small comes many at a time: %s", tt.name)
	}
	require.Zero(t, s.client().XLen(t.Context(), plainStream).Val(), "it was the same twice")
}

func TestAFloodOfUnreadableMessagesIsLoggedOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log testkit.LogBuffer
	opts := options(s.url())
	opts.Logger = log.Logger()
	opts.Now = func() time.Time { return time.Unix(1<<31, 0) } // it stands still
	db := openDB(t, opts)
	const n = 20
	var last domain.ID
	for range n {
		last = domain.ID("stream-" + add(t, s.client(), "oops"))
	}
	defer route(t, db)()
	require.Eventually(t, func() bool {
		_, err := db.DeadLetters().State(t.Context(), last)
		return err == nil
	}, patience, 10*time.Millisecond)
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log.String())
	require.Contains(t, log.String(), "count=1 ")
}
