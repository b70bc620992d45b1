package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// TestShardsOfDifferentQueuesAreDifferent has names that the configuration allows.
func TestShardsOfDifferentQueuesAreDifferent(t *testing.T) {
	t.Parallel()
	keys := make(map[string]string)
	for _, queue := range []string{"a", "a:0", "a:1", "a:1:1", "a-1", "a.1", "a_1"} {
		for _, s := range newShards(queue, 3) {
			require.Empty(t, keys[s.Key], "%s is a shard of two queues, one is %s", s.Key, queue)
			keys[s.Key] = queue
		}
	}
}

func TestShardsHaveHashTagsAndAllAreUsed(t *testing.T) {
	t.Parallel()
	s := &Server{Shards: newShards("queue", 3)}
	require.Equal(t, "{queue/1}", s.Shards[1].Key)
	used := make(map[*Shard]bool)
	for i := range 100 {
		id := domain.ID(rune('a' + i))
		home := s.Home(&domain.Request{ID: id})
		require.Equal(t, home, s.Searched(id)[0], "it is searched first where it is")
		require.ElementsMatch(t, s.Shards, s.Searched(id), "and then everywhere")
		used[home] = true
	}
	require.Len(t, used, 3)

	first := domain.Request{ID: "1", Owner: "a", Idempotency: &domain.Idempotency{Key: "b"}}
	second := domain.Request{ID: "2", Owner: "a", Idempotency: &domain.Idempotency{Key: "b"}}
	require.Equal(t, s.Home(&first), s.Home(&second), "where its key is")
}
