package worker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// account knows how much the pool may still take.
type account struct {
	mu     sync.Mutex
	slots  int
	bytes  int64
	change chan struct{} // a token here: something was given back
}

func newAccount(slots int, bytes int64) *account {
	return &account{slots: slots, bytes: bytes, change: make(chan struct{}, 1)}
}

// credit blocks until there is room for one delivery at least; false when ctx ends first.
func (a *account) credit(ctx context.Context) (ports.Credit, bool) {
	for {
		if ctx.Err() != nil {
			return ports.Credit{}, false
		}
		a.mu.Lock()
		c := ports.Credit{Count: a.slots, Bytes: a.bytes}
		a.mu.Unlock()
		if c.Count > 0 && c.Bytes > 0 {
			return c, true
		}
		select {
		case <-a.change:
		case <-ctx.Done():
		}
	}
}

func (a *account) charge(size int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slots--
	a.bytes -= size
}

func (a *account) refund(size int64) {
	a.mu.Lock()
	a.slots++
	a.bytes += size
	a.mu.Unlock()
	select {
	case a.change <- struct{}{}:
	default:
	}
}

// backoff doubles from a tenth of a second to five, and takes a random half off so that many do not come back at once.
type backoff struct{ last time.Duration }

// Bounds of the pause between two tries.
const (
	backoffBase = 100 * time.Millisecond
	backoffMax  = 5 * time.Second
)

// wait pauses; false when ctx ended.
func (b *backoff) wait(ctx context.Context) bool {
	b.last = min(max(2*b.last, backoffBase), backoffMax)
	timer := time.NewTimer(b.last/2 + rand.N(b.last/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
