package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestASkewIsKnownWhenARoundTripCannotExplainIt(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	type answer struct{ shown, after time.Duration }
	for name, tt := range map[string]struct {
		answers []answer
		want    time.Duration
	}{
		"equal":                       {[]answer{{0, 0}}, 0},
		"a small difference":          {[]answer{{90 * time.Millisecond, 0}}, 0},
		"ahead":                       {[]answer{{1234 * time.Millisecond, 0}}, 1200 * time.Millisecond},
		"behind":                      {[]answer{{-10 * time.Minute, 20 * time.Millisecond}}, -10 * time.Minute},
		"a slow answer":               {[]answer{{5 * time.Second, 5 * time.Second}}, 0},
		"a slow answer, still ahead":  {[]answer{{time.Minute, 2 * time.Second}}, 59 * time.Second},
		"small changes do not matter": {[]answer{{time.Second, 0}, {1090 * time.Millisecond, 0}}, time.Second},
		"it goes away":                {[]answer{{time.Minute, 0}, {time.Millisecond, 0}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c Clock
			for _, a := range tt.answers {
				c.note(sent.Add(a.shown), sent, sent.Add(a.after))
			}
			require.Equal(t, tt.want, c.Skew())
			require.Equal(t, sent.Add(tt.want), c.Theirs(sent))
			require.Equal(t, sent, c.Ours(c.Theirs(sent)))
			require.Zero(t, c.Theirs(time.Time{}))
		})
	}
}

func TestTheTimesOfARequestAreShiftedTogether(t *testing.T) {
	t.Parallel()
	var c Clock
	now := time.Now()
	c.note(now.Add(time.Hour), now, now)
	ours := domain.Request{ID: "1", SubmittedAt: now, NotBefore: now.Add(time.Second), Deadline: now.Add(time.Minute)}
	theirs := *c.TheirRequest(&ours)
	require.Equal(t, now.Add(time.Hour), theirs.SubmittedAt)
	require.Equal(t, time.Second, theirs.NotBefore.Sub(theirs.SubmittedAt))
	require.Equal(t, time.Minute, theirs.Deadline.Sub(theirs.SubmittedAt))
	require.Equal(t, now, ours.SubmittedAt, "the request of the caller stays as it is")
	c.SetOurs(&theirs)
	require.Equal(t, ours, theirs)
}
