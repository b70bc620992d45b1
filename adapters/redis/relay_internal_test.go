package redis

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestARoundThatIsOverBeginsNothing has an outbox that cannot be visited: while Redis hangs each visit would take as
// long as Redis is given to answer, and a shutdown as long as all of them.
func TestARoundThatIsOverBeginsNothing(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	r := relay{db: &DB{ctx: t.Context()}, outboxes: []*outbox{nil}}
	require.False(t, r.round(over, t.Context()))
}
