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
// off: they would count as waiting, and end as dead letters.
type closure struct {
	now func() time.Time

	mu    sync.Mutex
	until time.Time // of the pause; zero: the queue is there
	cause error
}

// refuse gives an error while the queue is known to be away. After each pause one caller gets none.
func (o *closure) refuse() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	switch {
	case o.until.IsZero():
		return nil
	case now.Before(o.until):
		return fmt.Errorf("%w: nothing is published at the moment: %w", ports.ErrUnavailable, o.cause)
	default:
		o.until = now.Add(retryAfter)
		return nil
	}
}

// note takes note of how messages were published. What a caller cut off says nothing about the queue.
func (o *closure) note(ctx context.Context, errs []error) {
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
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cause, o.until = cause, (time.Time{}); cause != nil {
		o.until = o.now().Add(retryAfter)
	}
}
