package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

func newCall() script.Call { return script.Cancel.Call("id", "1", "updated", "2", "lifetime", 3) }

// TestASearchGoesOnUntilAShardHasTheRecord answers as Redis would.
func TestASearchGoesOnUntilAShardHasTheRecord(t *testing.T) {
	t.Parallel()
	s := &Server{Shards: newShards("queue", 3)}
	c := newCommitter(s)
	a, b, d := s.Shards[0], s.Shards[1], s.Shards[2]
	words := []map[*Shard]string{
		{a: "missing", b: "ended", d: "never asked"},
		{d: "same"},
		{b: "missing", a: "missing", d: "missing"},
		{a: "missing", b: ""},
	}
	places := [][]*Shard{{a, b, d}, {d, a}, {b, a, d}, {a, b, d}}
	var lasts []bool // of the third
	found := func() []Found {
		return c.Search(t.Context(), places, func(i int, shard *Shard, last bool) *Op {
			if i == 2 {
				lasts = append(lasts, last)
			}
			o := NewOp(shard, 0, newCall())
			o.answer = script.Answer{words[i][shard]}
			if words[i][shard] == "" {
				o.answer, o.err = nil, ports.ErrUnavailable
			}
			close(o.done)
			return o
		})
	}()
	require.Equal(t, Found{Result{Answer: script.Answer{"ended"}}, b}, found[0])
	require.Equal(t, Found{Result{Answer: script.Answer{"same"}}, d}, found[1])
	require.Equal(t, Found{Result{Answer: script.Answer{"missing"}}, d}, found[2])
	require.Equal(t, []bool{false, false, true}, lasts)
	require.Equal(t, b, found[3].Shard)
	require.ErrorIs(t, found[3].Err, ports.ErrUnavailable)
	require.Empty(t, c.Search(t.Context(), nil, nil))
}
