package redis

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestInterleaveKeepsTheLowLanesShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		streak     int
		give, want string
		left       int
	}{
		{"only high", 0, "hhh", "hhh", 3},
		{"only low", 5, "ll", "ll", 0},
		{"high first", 0, "lhh", "hhl", 0},
		{"every eighth is low", 0, "llhhhhhhhhhh", "hhhhhhhlhhhl", 0},
		{"it goes on where the last one ended", 6, "lhhh", "hlhh", 2},
		{"low is overdue", 20, "lhh", "lhh", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &Consumer{lanes: domain.LaneTurnAfter(tt.streak)}
			priorities := map[rune]int{'h': 9, 'l': 0}
			var give []ports.Delivery
			for _, lane := range tt.give {
				give = append(give, ports.Delivery{Request: domain.Request{Priority: priorities[lane]}})
			}
			got := ""
			for _, d := range c.interleave(give) {
				got += map[int]string{9: "h", 0: "l"}[d.Request.Priority]
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.left, c.lanes.Streak())
		})
	}
}

func TestCreditIsWrittenForTheScript(t *testing.T) {
	t.Parallel()
	known := map[string]struct{}{"a": {}, "b": {}}
	for _, tt := range []struct {
		name string
		give ports.Credit
		want map[any]any
	}{
		{"no limits", ports.Credit{}, map[any]any{}},
		{"limits", ports.Credit{Endpoints: map[string]int{"a": 0, "c": 3}}, map[any]any{"a": 0, "c": 3}},
		{"known", ports.Credit{Known: known}, map[any]any{"a": unbounded, "b": unbounded}},
		{
			"limits of known and unknown",
			ports.Credit{Known: known, Endpoints: map[string]int{"a": 2, "c": 3}},
			map[any]any{"a": 2, "b": unbounded},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			strict, named := (&batch{Allowance: ports.NewAllowance(tt.give)}).credits()
			require.Equal(t, tt.give.Known != nil, strict)
			got := make(map[any]any)
			for pair := range slices.Chunk(named, 2) {
				got[pair[0]] = pair[1]
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTheLowLanesShareIsEveryEighth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ streak, count, want int }{
		{0, 1, 0},
		{0, 7, 0},
		{0, 8, 1},
		{6, 1, 0},
		{7, 1, 1},
		{20, 1, 1},
		{20, 8, 1},
		{20, 9, 2},
		{3, 64, 8},
		{0, 0, 0},
	} {
		c := &Consumer{lanes: domain.LaneTurnAfter(tt.streak)}
		require.Equal(t, tt.want, c.lowShare(tt.count), "%d after %d", tt.count, tt.streak)
		require.Equal(t, tt.streak, c.lanes.Streak(), "it only asks")
	}
}

func TestTokensSayWhichShardTheyAreOf(t *testing.T) {
	t.Parallel()
	c := &Consumer{server: &server.Server{Shards: []*server.Shard{{Number: 0}, {Number: 1}, {Number: 2}}}}
	require.Equal(t, c.server.Shards[2], c.shardOfToken("2-abc.1"))
	require.Equal(t, c.server.Shards[1], c.shardOfToken(newTokenPrefix(c.server.Shards[1])))
	for _, token := range []string{"", "2", "3-abc", "-1-abc", "x-abc", "99999999999999999999-a"} {
		require.Nil(t, c.shardOfToken(token), token)
	}
}
