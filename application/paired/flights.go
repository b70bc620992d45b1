package paired

import (
	"context"
	"fmt"
	"sync"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// flights are the requests with an idempotency key that are being published. Repeats that come meanwhile join them, so
// that a thousand at once are one message.
type flights struct {
	mu   sync.Mutex
	byID map[domain.ID]*flight
}

type flight struct {
	landed chan struct{} // closed at the end
	err    error         // read after that
}

// join gives the flight of a request. Who is the first publishes, and then lands it.
func (f *flights) join(id domain.ID) (joined *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if joined = f.byID[id]; joined != nil {
		return joined, false
	}
	joined = &flight{landed: make(chan struct{})}
	f.byID[id] = joined
	return joined, true
}

func (f *flights) land(id domain.ID, landing *flight, err error) {
	f.mu.Lock()
	delete(f.byID, id)
	f.mu.Unlock()
	landing.err = err
	close(landing.landed)
}

// wait gives what became of the flight of another.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.landed:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("%w: not confirmed in time: %w", ports.ErrUnavailable, context.Cause(ctx))
	}
}
