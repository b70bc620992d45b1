package paired

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// retryAfter is how long submits are rejected after the queue confirmed nothing. Then one submit tries again.
const retryAfter = time.Second

// admission rejects submits while the queue is down, so that no orphan records are left: nobody would work on them, and
// they would count as waiting and end as dead letters. A queue of which only a part is away is not down.
type admission struct {
	now func() time.Time

	mu        sync.Mutex
	succeeded time.Time // when the queue last confirmed something
	until     time.Time // submits are rejected; zero: the queue is up
	cause     error
}

// check returns an error while the queue is known to be down. After each retryAfter it lets one caller through.
func (a *admission) check() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	switch {
	case a.until.IsZero():
		return nil
	case now.Before(a.until):
		return fmt.Errorf("%w: the queue is down: %w", ports.ErrUnavailable, a.cause)
	default:
		a.until = now.Add(retryAfter)
		return nil
	}
}

// note takes note of the errors of a Publish that began then. What its caller cut off says nothing about the queue, and
// neither do errors next to successes.
func (a *admission) note(ctx context.Context, begun time.Time, errs []error) {
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
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case cause == nil:
		a.succeeded, a.until, a.cause = a.now(), time.Time{}, nil
	case a.succeeded.Before(begun):
		a.until, a.cause = a.now().Add(retryAfter), cause
	}
}
