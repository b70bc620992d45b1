package application

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// clock bounds the time of one attempt. It is paused while the call waits for memory of this process, so that our own
// limit does not look like a slow backend.
type clock struct {
	limit  time.Duration
	expire func()

	mu      sync.Mutex
	timer   *time.Timer
	left    time.Duration
	started time.Time
	paused  bool
}

// startClock returns a running clock that calls expire once limit has passed.
func startClock(limit time.Duration, expire func()) *clock {
	return &clock{limit: limit, expire: expire, timer: time.AfterFunc(limit, expire), left: limit, started: time.Now()}
}

// stop ends the clock for good. It may be called again.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
}

// pause stops the clock until resume.
func (c *clock) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
	c.left -= time.Since(c.started)
	c.paused = true
}

func (c *clock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.paused = time.Now(), false
	c.timer = time.AfterFunc(max(c.left, 0), c.expire)
}

// fair reports whether the backend had at least half of the limit, and is what the call waits for.
func (c *clock) fair() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.paused && c.left-time.Since(c.started) <= c.limit/2
}

// pausedDuring returns reserve with the clock paused while it blocks. Deadline and shutdown still end it through ctx.
func (c *clock) pausedDuring(reserve ports.Reserve) ports.Reserve {
	if reserve == nil {
		return nil
	}
	return func(ctx context.Context, bytes int64) error {
		c.pause()
		defer c.resume()
		return reserve(ctx, bytes)
	}
}
