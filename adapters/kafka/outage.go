package kafka

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// calm is how long nothing may have gone wrong before an outage is over: while one broker is away, say, calls of others
// succeed between those that do not.
const calm = 3 * time.Second

// outage writes one line when Kafka cannot be used and one when it can again, whoever notices.
type outage struct {
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	away   bool
	since  time.Time // of the outage
	failed time.Time // the last time something went wrong
}

// report takes note of how a call of Kafka ended.
func (o *outage) report(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
		o.failed = o.now()
		if !o.away {
			o.away, o.since = true, o.failed
			o.logger.Error("kafka cannot be used; trying again until it can", "error", err)
		}
	case o.away && o.now().Sub(o.failed) >= calm:
		o.away = false
		o.logger.Info("kafka can be used again")
	}
}

// lasts reports whether an outage has lasted that long.
func (o *outage) lasts(long time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.away && o.failed.Sub(o.since) >= long
}

// backoff is how long to wait before the next try: twice as long each time, within bounds, with a jitter of 20 %. The
// zero value is ready.
type backoff struct{ tries int }

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

func (b *backoff) next() time.Duration {
	pause := min(firstPause<<min(b.tries, 10), longestPause)
	b.tries++
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

func (b *backoff) reset() { b.tries = 0 }

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
