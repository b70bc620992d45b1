package moving

import (
	"context"
	"sync/atomic"
	"time"
)

// Clock measures time as those have it who share the machine with other programs. A clock on the wall goes on while
// nobody lets them run; this one goes on by a tick for each of their answers. On an idle machine both go at the same
// speed, and this one is never the faster.
type Clock struct{ ticks atomic.Int64 }

// tick is longer than a small answer takes on an idle machine, with the race detector.
const tick = 20 * time.Millisecond

// StartClock starts a clock. A goroutine of its own calls answer, which asks those who are measured for something small
// and blocks until they answer. stop ends the goroutine and waits for it.
func StartClock(ctx context.Context, answer func(context.Context)) (c *Clock, stop func()) {
	c = &Clock{}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(ctx, answer)
	}()
	return c, func() {
		cancel()
		<-ended
	}
}

func (c *Clock) run(ctx context.Context, answer func(context.Context)) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			answer(ctx)
			c.ticks.Add(1)
		}
	}
}

// Elapsed returns the time since the start.
func (c *Clock) Elapsed() time.Duration { return time.Duration(c.ticks.Load()) * tick }
