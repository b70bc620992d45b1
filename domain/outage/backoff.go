package outage

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// FirstPause is the first pause of a Backoff.
	FirstPause = 100 * time.Millisecond
	// LongestPause is the longest one, unless it says otherwise.
	LongestPause = 5 * time.Second
)

// Backoff is how long to pause before the next try: twice as long each time, within bounds, with a random half
// taken off so that many do not come back at once. The zero value is ready. It is for one goroutine.
type Backoff struct {
	Longest time.Duration // 0: LongestPause

	tries int
}

// Next gives the next pause.
func (b *Backoff) Next() time.Duration {
	longest := b.Longest
	if longest == 0 {
		longest = LongestPause
	}
	pause := min(FirstPause<<min(b.tries, 10), longest)
	b.tries++
	return pause/2 + rand.N(pause/2)
}

// Wait pauses. It reports false when ctx ended meanwhile.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Reset begins with the first pause again.
func (b *Backoff) Reset() { b.tries = 0 }

// Tries is how often it has paused since it began.
func (b *Backoff) Tries() int { return b.tries }

// Sleep blocks for d. It reports false when ctx ended meanwhile.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
