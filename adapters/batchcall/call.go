// Package batchcall lets one caller wait for the answers to its items, where adapters send the items of many callers in common requests.
package batchcall

import (
	"context"
	"fmt"
	"sync"

	"github.com/openhqm/openhqm/ports"
)

// Call is one caller who waits for the answers to its items, each of which comes by itself. It is safe for concurrent
// use.
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

// Answer gives the answer to one item, which must have none yet. Nobody hears it when the call is over.
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

// Over reports whether nobody waits for an answer any more.
func (c *Call) Over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// Wait blocks until all answers are there or ctx ends, gives them, aligned, and ends the call. Those that are missing
// are Unconfirmed.
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

// Unconfirmed is the error of a caller that gives up waiting.
func Unconfirmed(ctx context.Context) error {
	return fmt.Errorf("%w: not confirmed in time: %w", ports.ErrUnavailable, context.Cause(ctx))
}
