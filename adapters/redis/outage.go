package redis

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// calm is how long nothing may have gone wrong before an outage is over: while Redis is read-only, say, reads succeed
// between the writes that do not.
const calm = 3 * time.Second

// outage writes one line when Redis cannot be used and one when it can again, whoever notices.
type outage struct {
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	away   bool
	failed time.Time // the last time something went wrong
}

// report takes note of how a call of Redis ended.
func (o *outage) report(err error) {
	if errors.Is(err, ports.ErrClosed) || errors.Is(err, ports.ErrFull) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
		o.failed = o.now()
		if !o.away {
			o.away = true
			o.logger.Error("redis cannot be used; trying again until it can", "error", err)
		}
	case o.away && o.now().Sub(o.failed) >= calm:
		o.away = false
		o.logger.Info("redis can be used again")
	}
}

// backoff is how long to wait before the next try: twice as long each time, within bounds, with a jitter of 20 %. The
// zero value is ready.
type backoff struct{ tries int }

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

func (b *backoff) next() time.Duration {
	pause := min(firstPause<<min(b.tries, 10), longestPause)
	b.tries++
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

func (b *backoff) reset() { b.tries = 0 }

// sleep returns after d, or when ctx ends or the database is closed.
func (db *DB) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-db.ctx.Done():
	}
}
