package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// loaded returns a member that owns partitions of one lane, each with so many messages on its shelf.
func loaded(partitions, messages int) (*consumer, *generation) {
	q := &Queue{opts: Options{Now: time.Now}}
	c := newConsumer(q, "group", "topic")
	c.join.Do(func() {}) // it owns what it is given
	owned := make([]kafka.PartitionAssignment, partitions)
	for i := range owned {
		owned[i].ID = i
	}
	g := newGeneration(c, &kafka.Generation{Assignments: map[string][]kafka.PartitionAssignment{"topic": owned}})
	for _, p := range g.parts {
		read := make([]*message, messages)
		for i := range read {
			read[i] = &message{offset: int64(i), id: domain.ID(fmt.Sprint(p.id))}
		}
		p.add(read, int64(messages))
	}
	c.enter(g)
	return c, g
}

func TestLoadedPartitionsGetEqualShares(t *testing.T) {
	t.Parallel()
	const partitions, each = 12, 10
	for _, count := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			c, _ := loaded(partitions, 2*each)
			shares := make(map[domain.ID]int)
			for left := partitions * each; left > 0; {
				taken, err := c.Receive(t.Context(), min(count, left), 1<<20)
				require.NoError(t, err)
				for _, r := range taken {
					shares[r.ID]++
				}
				left -= len(taken)
			}
			require.Len(t, shares, partitions)
			for id, share := range shares {
				require.Equal(t, each, share, "partition %s", id)
			}
		})
	}
}

func TestEmptyValuesFillAShelf(t *testing.T) {
	t.Parallel()
	_, g := loaded(1, 0)
	p := g.parts[0]
	p.leader = 1
	require.True(t, p.wanting())
	for range readAhead / messageBytes / 2 {
		require.True(t, p.wanting())
		p.add([]*message{{}}, 0)
	}
	require.False(t, p.wanting())
	g.handOut(p)
	require.True(t, p.wanting())
}
