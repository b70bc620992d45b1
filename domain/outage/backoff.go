package outage

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// FirstPause is the longest that the first pause of a Backoff can be.
	FirstPause = 100 * time.Millisecond
	// LongestPause bounds every pause of a Backoff that has no bound of its own.
	LongestPause = 5 * time.Second
)

// Backoff computes the pauses between the tries of something that fails. Each is twice as long as the one before, up to
// a bound. A random part of up to a half is taken off, so that many processes do not return at the same moment. The
// zero value is ready. It is not safe for concurrent use.
type Backoff struct {
	Longest time.Duration // 0: LongestPause

	tries int
}

// Next returns the next pause, and counts a try.
func (b *Backoff) Next() time.Duration {
	longest := b.Longest
	if longest == 0 {
		longest = LongestPause
	}
	pause := min(FirstPause<<min(b.tries, 10), longest)
	b.tries++
	return pause/2 + rand.N(pause/2)
}

// Wait blocks for the next pause. It returns false as soon as ctx ends.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Reset makes the next pause the first one again, after a success.
func (b *Backoff) Reset() { b.tries = 0 }

// Tries returns the number of pauses since the last Reset.
func (b *Backoff) Tries() int { return b.tries }

// Sleep blocks for d. It returns false as soon as ctx ends.
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
