package embedded

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestItemsAreSplitByWhatAGroupHolds(t *testing.T) {
	t.Parallel()
	const whole = maxGroupBytes
	tests := []struct {
		name string
		give []int
		want [][2]int
	}{
		{"none", nil, nil},
		{"one", []int{1}, [][2]int{{0, 1}}},
		{"all together", []int{whole / 2, whole / 4, whole / 4}, [][2]int{{0, 3}}},
		{"one too many", []int{whole / 2, whole / 2, 1}, [][2]int{{0, 2}, {2, 3}}},
		{"each alone", []int{whole, whole, 2 * whole}, [][2]int{{0, 1}, {1, 2}, {2, 3}}},
		{"a large one between", []int{1, 2 * whole, 1, 1}, [][2]int{{0, 1}, {1, 2}, {2, 4}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got [][2]int
			for from, to := range groups(len(tt.give), func(i int) int { return tt.give[i] }) {
				got = append(got, [2]int{from, to})
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// TestLargeItemsStayAligned hands in more bytes at once than a group takes.
func TestLargeItemsStayAligned(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	reqs := make([]domain.Request, 12)
	for i := range reqs {
		reqs[i] = newRequest(c.Now())
		reqs[i].Body = make([]byte, maxGroupBytes/4)
	}
	for i, answer := range db.Accept(t.Context(), reqs) {
		require.NoError(t, answer.Err)
		require.Equal(t, reqs[i].ID, answer.Record.ID)
	}
	var finishes []ports.Finish
	for len(finishes) < len(reqs) {
		for _, d := range receive(t, w, len(reqs)) {
			out := outcome(domain.Completed, c.Now())
			out.Response.Body = append(make([]byte, maxGroupBytes/4), d.Request.ID...)
			finishes = append(finishes, ports.Finish{ID: d.Request.ID, Token: d.Token, Outcome: out})
		}
	}
	finishes[7].Token = "stale"
	for i, err := range w.Finish(t.Context(), finishes) {
		if i == 7 {
			require.ErrorIs(t, err, ports.ErrLost)
			continue
		}
		require.NoError(t, err)
		record, err := db.Find(t.Context(), finishes[i].ID)
		require.NoError(t, err)
		require.Equal(t, string(finishes[i].ID), string(record.Result.Response.Body[maxGroupBytes/4:]))
	}
	db.requireConsistent(t)
}
