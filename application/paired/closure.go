package paired

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// retryAfter is how long nothing is taken in after the queue did not confirm anything. Then somebody's request tries it
// again.
const retryAfter = time.Second

// closure keeps what is taken in while the queue is away from leaving records in the store, which nobody would work
// off: they would count as waiting, and end as dead letters. A queue of which a part is away is not away.
type closure struct {
	now func() time.Time

	mu        sync.Mutex
	succeeded time.Time // when the queue last confirmed something
	until     time.Time // of the pause; zero: the queue is there
	cause     error
}

// refuse gives an error while the queue is known to be away. After each pause one caller gets none.
func (c *closure) refuse() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	switch {
	case c.until.IsZero():
		return nil
	case now.Before(c.until):
		return fmt.Errorf("%w: nothing is published at the moment: %w", ports.ErrUnavailable, c.cause)
	default:
		c.until = now.Add(retryAfter)
		return nil
	}
}

// note takes note of how messages were published that were given to the queue at a time. What a caller cut off says
// nothing about the queue, and neither does what failed while others succeeded.
func (c *closure) note(ctx context.Context, begun time.Time, errs []error) {
	var cause error
	for _, err := range errs {
		if !errors.Is(err, ports.ErrUnavailable) {
			cause = nil
			break
		}
		cause = err
	}
	if cause != nil && ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case cause == nil:
		c.succeeded, c.until, c.cause = c.now(), time.Time{}, nil
	case c.succeeded.Before(begun):
		c.until, c.cause = c.now().Add(retryAfter), cause
	}
}
