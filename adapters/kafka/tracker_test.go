package kafka

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTheMarkNeverPassesAnOpenMessage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1000).Draw(t, "start")
		bound := rapid.IntRange(1, 8).Draw(t, "bound")
		tr, next := newTracker(start), start
		var taken, reported []*message
		owed := make(map[*message]bool) // is to be reported, for its age
		now := time.Unix(0, 0)
		last := tr.mark
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				next += rapid.Int64Range(0, 3).Draw(t, "hole") // offsets of no message
				m := &message{offset: next, taken: now}
				next++
				tr.take(m)
				taken = append(taken, m)
				reported = append(reported, tr.crowded(bound)...)
			},
			"settle": func(t *rapid.T) {
				if len(taken) > 0 {
					before := tr.mark
					moved := tr.settle(rapid.SampledFrom(taken).Draw(t, "message"))
					require.Equal(t, tr.mark > before, moved)
				}
			},
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "time"))) },
			"overdue": func(t *rapid.T) {
				before := now.Add(-time.Duration(rapid.IntRange(0, 9).Draw(t, "age")))
				noteOwed(owed, taken, before)
				reported = append(reported, tr.overdue(before)...)
			},
			"advance": func(t *rapid.T) {
				next += rapid.Int64Range(0, 3).Draw(t, "hole")
				tr.advance(next)
			},
			"": func(t *rapid.T) {
				require.GreaterOrEqual(t, tr.mark, last, "it only moves forward")
				last = tr.mark
				require.Equal(t, wantGap(taken), tr.gap())
				requireMark(t, tr, taken, next)
				requireReported(t, reported, taken, owed, bound)
			},
		})
	})
}

// wantGap is how many messages there are from the first open one on.
func wantGap(taken []*message) int {
	for i, m := range taken {
		if !m.settled {
			return len(taken) - i
		}
	}
	return 0
}

func requireMark(t *rapid.T, tr *tracker, taken []*message, next int64) {
	after := int64(-1) // the offset after the last settled message before the first open one
	for _, m := range taken {
		if !m.settled {
			require.LessOrEqual(t, tr.mark, m.offset)
			break
		}
		after = m.offset + 1
	}
	require.GreaterOrEqual(t, tr.mark, after, "what is settled need not come again")
	require.LessOrEqual(t, tr.mark, next)
}

// noteOwed notes which open messages were handed out before a time and hold up one that is settled.
func noteOwed(owed map[*message]bool, taken []*message, before time.Time) {
	held := false
	for _, m := range slices.Backward(taken) {
		if m.settled {
			held = true
		} else if held && m.taken.Before(before) {
			owed[m] = true
		}
	}
}

func requireReported(t *rapid.T, reported, taken []*message, owed map[*message]bool, bound int) {
	seen := make(map[*message]bool)
	for _, m := range reported {
		require.False(t, seen[m], "each is reported once")
		seen[m] = true
	}
	for i, m := range taken {
		old := len(taken)-1-i >= bound || owed[m]
		if !m.settled {
			require.Equal(t, old, seen[m], "message %d of %d", i, len(taken))
		}
		require.False(t, seen[m] && !old)
	}
}
