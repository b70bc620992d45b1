package worker_test

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// processor is a worker.Processor that counts its calls.
type processor struct {
	process func(ctx context.Context, d ports.Delivery) domain.Outcome

	mu     sync.Mutex
	called map[domain.ID]int
}

func newProcessor(process func(ctx context.Context, d ports.Delivery) domain.Outcome) *processor {
	return &processor{process: process, called: make(map[domain.ID]int)}
}

func (p *processor) Process(ctx context.Context, d ports.Delivery, _ ports.Reserve) domain.Outcome {
	p.mu.Lock()
	p.called[d.Request.ID]++
	p.mu.Unlock()
	return p.process(ctx, d)
}

func (p *processor) calls() map[domain.ID]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.called)
}

var completed = domain.Outcome{Status: domain.Completed, Attempts: 1}

// atOnce answers without blocking.
func atOnce(context.Context, ports.Delivery) domain.Outcome { return completed }

// after answers when d is over, or reports being cut off.
func after(d time.Duration) func(context.Context, ports.Delivery) domain.Outcome {
	return func(ctx context.Context, _ ports.Delivery) domain.Outcome {
		select {
		case <-time.After(d):
			return completed
		case <-ctx.Done():
			return domain.Outcome{Status: domain.Pending, Attempts: 1, Error: context.Cause(ctx).Error()}
		}
	}
}

// gate lets as many calls through as a test allows.
type gate chan struct{}

func (g gate) open(n int) {
	for range n {
		g <- struct{}{}
	}
}

// pass blocks until the gate is open or ctx ends.
func (g gate) pass(ctx context.Context) {
	select {
	case <-g:
	case <-ctx.Done():
	}
}

// process is a call that ends when it is let through.
func (g gate) process(ctx context.Context, _ ports.Delivery) domain.Outcome {
	g.pass(ctx)
	return completed
}
