package paired

import (
	"context"
	"fmt"
	"sync"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// duplicates joins submits with one idempotency key that come at the same time: a thousand of them publish one message.
type duplicates struct {
	mu   sync.Mutex
	byID map[domain.ID]*publishing
}

// publishing is one request that is being published.
type publishing struct {
	done chan struct{} // closed at the end
	err  error         // read after that
}

// join returns the publishing of a request, and whether the caller is the first: then it publishes and calls end.
func (d *duplicates) join(id domain.ID) (p *publishing, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p = d.byID[id]; p != nil {
		return p, false
	}
	p = &publishing{done: make(chan struct{})}
	d.byID[id] = p
	return p, true
}

// end tells all that wait for p how it ended.
func (d *duplicates) end(id domain.ID, p *publishing, err error) {
	d.mu.Lock()
	delete(d.byID, id)
	d.mu.Unlock()
	p.err = err
	close(p.done)
}

// wait blocks until p ends, and returns its error, or until ctx ends.
func (p *publishing) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%w: not confirmed in time: %w", ports.ErrUnavailable, context.Cause(ctx))
	}
}
