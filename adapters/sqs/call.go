package sqs

import (
	"context"
	"sync"
)

// call is one Publish.
type call struct {
	done chan struct{} // closed when all have an answer

	mu       sync.Mutex
	errs     []error
	answered []bool
	left     int
	gone     bool // the caller has given up
}

func newCall(n int) *call {
	c := &call{done: make(chan struct{}), errs: make([]error, n), answered: make([]bool, n), left: n}
	if n == 0 {
		close(c.done)
	}
	return c
}

func (c *call) answer(index int, err error) {
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

// over reports whether nobody waits for an answer any more.
func (c *call) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// wait gives the answers. Those that are not there when ctx ends are unconfirmed.
func (c *call) wait(ctx context.Context) []error {
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for i := range c.errs {
		if !c.answered[i] {
			c.errs[i] = unconfirmed(ctx)
		}
	}
	return c.errs
}
