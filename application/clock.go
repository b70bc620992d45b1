package application

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// clock counts the time of one attempt. It stands still while the call waits for something of ours, so that a limit of
// this process does not look like a slow backend.
type clock struct {
	expire func()

	mu      sync.Mutex
	timer   *time.Timer
	left    time.Duration
	started time.Time
}

// startClock calls expire when limit has passed.
func startClock(limit time.Duration, expire func()) *clock {
	return &clock{expire: expire, timer: time.AfterFunc(limit, expire), left: limit, started: time.Now()}
}

// stop ends it. It may be stopped twice.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
}

// pause stops the time; go on with resume.
func (c *clock) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
	c.left -= time.Since(c.started)
}

func (c *clock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = time.Now()
	c.timer = time.AfterFunc(max(c.left, 0), c.expire)
}

// unhurried is reserve with the clock paused while it waits. Deadline and shutdown go on counting: they are in ctx.
func (c *clock) unhurried(reserve ports.Reserve) ports.Reserve {
	if reserve == nil {
		return nil
	}
	return func(ctx context.Context, bytes int64) error {
		c.pause()
		defer c.resume()
		return reserve(ctx, bytes)
	}
}
