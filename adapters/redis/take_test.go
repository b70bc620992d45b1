package redis

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

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
			c := &Consumer{streak: tt.streak}
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
			require.Equal(t, tt.left, c.streak)
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
			strict, named := (&haul{left: tt.give}).credits()
			require.Equal(t, tt.give.Known != nil, strict)
			got := make(map[any]any)
			for pair := range slices.Chunk(named, 2) {
				got[pair[0]] = pair[1]
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestShardsOfTokens(t *testing.T) {
	t.Parallel()
	db := &DB{shards: newShards("queue", 3)}
	require.Equal(t, db.shards[2], db.shardOfToken("2-abc.1"))
	for _, token := range []string{"", "2", "3-abc", "-1-abc", "x-abc", "99999999999999999999-a"} {
		require.Nil(t, db.shardOfToken(token), token)
	}
}

func TestShardsHaveHashTagsAndAllAreUsed(t *testing.T) {
	t.Parallel()
	db := &DB{shards: newShards("queue", 3)}
	require.Equal(t, "{queue/1}", db.shards[1].key)
	used := make(map[*shard]bool)
	for i := range 100 {
		id := domain.ID(rune('a' + i))
		s := db.home(&domain.Request{ID: id})
		require.Equal(t, s, db.searched(id)[0], "it is looked for first where it is")
		require.ElementsMatch(t, db.shards, db.searched(id), "and then everywhere")
		used[s] = true
	}
	require.Len(t, used, 3)

	first := domain.Request{ID: "1", Owner: "a", Idempotency: &domain.Idempotency{Key: "b"}}
	second := domain.Request{ID: "2", Owner: "a", Idempotency: &domain.Idempotency{Key: "b"}}
	require.Equal(t, db.home(&first), db.home(&second), "where its key is")
}
