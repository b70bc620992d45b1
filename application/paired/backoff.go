package paired

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds of the pause between two tries.
const (
	backoffBase = 100 * time.Millisecond
	backoffMax  = 5 * time.Second
)

// backoff doubles, and takes a random half off so that many do not come back at once.
type backoff struct{ last time.Duration }

// wait pauses, or returns when ctx ends.
func (b *backoff) wait(ctx context.Context) {
	b.last = min(max(2*b.last, backoffBase), backoffMax)
	timer := time.NewTimer(b.last/2 + rand.N(b.last/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
