package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsLeftOfAPartition(t *testing.T) {
	t.Parallel()
	const marked = 100 // where the partition ended
	tests := []struct {
		name      string
		now       extent
		committed int64
		want      bool // nothing is left
	}{
		{"nothing was read", extent{0, 100}, -1, false},
		{"some was read", extent{0, 100}, 99, false},
		{"all was read", extent{0, 100}, 100, true},
		{"more was read", extent{0, 200}, 150, true},
		{"all was deleted", extent{100, 100}, -1, true},
		{"all and more was deleted", extent{150, 200}, 10, true},
		{"some was deleted", extent{50, 100}, -1, false},
		{"what was not read was not deleted", extent{50, 100}, 60, false},
		{"it was made again, and is empty", extent{0, 0}, -1, true},
		{"it was made again, and nothing was read", extent{0, 5}, -1, false},
		{"it was made again, and all was read", extent{0, 5}, 5, true},
		{"it was made again, and the offset is an old one", extent{0, 5}, 100, false},
		{"it has lost its end, and what is left was not read", extent{0, 90}, 80, false},
		{"it has lost its end, and what is left was read", extent{0, 90}, 90, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.now.settledUpTo(marked, tt.committed))
		})
	}
	require.True(t, extent{0, 0}.settledUpTo(0, -1), "it was empty, and is")
	require.True(t, extent{0, 7}.settledUpTo(0, -1), "it was empty")
}

func TestAPlaceIsAnotherOneInATopicThatWasMadeAgain(t *testing.T) {
	t.Parallel()
	p := &partition{topic: "requests", id: 3}
	require.Equal(t, "requests-3-7-1732373137926", p.place(&message{offset: 7, written: 1732373137926}))
	require.NotEqual(t, p.place(&message{offset: 7, written: 1}), p.place(&message{offset: 7, written: 2}))
}
