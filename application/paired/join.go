package paired

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/ports"
)

// Store is what a carrier is joined with.
type Store interface {
	ports.Store
	ports.Gauge
}

// Options say how a carrier and a store are joined.
type Options struct {
	Reader *exchange.Reader // of messages, also of foreign ones
	Now    func() time.Time
}

// Queue is a carrier and a store, joined as one process has them.
type Queue struct {
	carrier ports.Carrier
	store   Store
	opts    Options
	intake  *Intake
	gauge   *Gauge

	mu    sync.Mutex
	works []*Work
}

// Join makes a Queue. It starts nothing.
func Join(carrier ports.Carrier, store Store, opts Options) *Queue {
	return &Queue{
		carrier: carrier, store: store, opts: opts,
		intake: NewIntake(carrier, store, opts.Now), gauge: NewGauge(carrier, store),
	}
}

// Intake returns what accepts requests.
func (q *Queue) Intake() ports.Intake { return q.intake }

// Gauge returns what reads the depth of both.
func (q *Queue) Gauge() ports.Gauge { return q.gauge }

// NewWork returns a Work that hands out the requests of both. It lives as long as the consumer of the store, and its
// Run must run meanwhile.
func (q *Queue) NewWork(consumer ports.StoreWork) *Work {
	w := NewWork(q.opts.Reader, q.carrier, q.store, consumer)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.works = append(q.works, w)
	return w
}

// yieldTimeout bounds how long the store may take to accept what a process holds when it leaves.
const yieldTimeout = 5 * time.Second

// Leave lets other processes have at once what this one has not begun, while calls still run. What it has begun they
// leave to it: the store says whose it is. It blocks for at most 5 s and for as long as the carrier takes to leave.
func (q *Queue) Leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, yieldTimeout)
	defer cancel()
	q.mu.Lock()
	works := q.works
	q.mu.Unlock()
	for _, w := range works {
		w.Yield(ctx)
	}
	q.carrier.Leave()
}
