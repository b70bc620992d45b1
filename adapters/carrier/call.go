// Package carrier holds what the carriers have in common: how long they try, how many bytes they let wait, and how one
// caller waits for the answers to its messages when those of many callers are sent in shared requests.
package carrier

import (
	"context"
	"fmt"
	"sync"

	"github.com/openhqm/openhqm/ports"
)

// Call is one caller that waits for the answers to its items, which arrive one by one. It is safe for concurrent use.
type Call struct {
	done chan struct{} // closed when all have an answer

	mu       sync.Mutex
	errs     []error
	answered []bool
	left     int
	gone     bool // the caller has given up
}

// NewCall makes one with n items.
func NewCall(n int) *Call {
	c := &Call{done: make(chan struct{}), errs: make([]error, n), answered: make([]bool, n), left: n}
	if n == 0 {
		close(c.done)
	}
	return c
}

// Answer answers one item, which must have no answer yet. Once the call is over it does nothing.
func (c *Call) Answer(index int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.errs[index], c.answered[index] = err, true
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

// Over reports whether the caller has stopped waiting.
func (c *Call) Over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// Wait blocks until all answers are there or ctx ends, ends the call, and returns the answers in order.
// Those that are missing are Unconfirmed.
func (c *Call) Wait(ctx context.Context) []error {
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for i := range c.errs {
		if !c.answered[i] {
			c.errs[i] = Unconfirmed(ctx)
		}
	}
	return c.errs
}

// Unconfirmed returns the error of a caller whose ctx ended before the answer came. It matches ports.ErrUnavailable.
func Unconfirmed(ctx context.Context) error {
	return fmt.Errorf("%w: not confirmed in time: %w", ports.ErrUnavailable, context.Cause(ctx))
}
