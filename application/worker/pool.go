// Package worker is the pipeline from the queue to the backends and back: one goroutine fetches deliveries, a constant
// number of slots make the calls, and one goroutine saves the outcomes in groups.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Options configure a Pool.
type Options struct {
	Slots    int           // concurrent calls
	MaxBytes int64         // of requests held at once, and the same again of responses over ports.UnreservedBytes
	Gates    *Gates        // limits of single endpoints
	Known    []string      // endpoints that can be called; nil: all
	Drain    time.Duration // how long running calls may go on at a shutdown before they are cut off
	Save     time.Duration // how long saving the last outcomes may take after that
	Now      func() time.Time
	Logger   *slog.Logger
}

// Processor is the use-case that a slot runs.
type Processor interface {
	// Process blocks for at most one attempt and returns the outcome. See application.Process.
	Process(ctx context.Context, d ports.Delivery, reserve ports.Reserve) domain.Outcome
}

// Pool fetches deliveries, processes them and saves their outcomes.
type Pool struct {
	opts      Options
	work      ports.Work
	processor Processor
	capacity  *capacity
	memory    *memory
	jobs      chan job
	finished  chan finished
	condition atomic.Pointer[error] // what Probe returns
	crew      crew
}

// crew are the goroutines of the slots.
type crew struct {
	mu    sync.Mutex
	want  int    // slots
	has   int    // goroutines, which stay when there are fewer slots
	start func() // starts one; nil while the pool does not run
	done  sync.WaitGroup
}

// grow sees to it that there are as many as slots.
func (c *crew) grow(slots int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want = slots
	c.fill()
}

// open starts them, and close lets no more start. Those that there are end with their work; done waits for them.
func (c *crew) open(slot func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = func() { c.done.Go(slot) }
	c.fill()
}

func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = nil
}

func (c *crew) fill() {
	for ; c.start != nil && c.has < c.want; c.has++ {
		c.start()
	}
}

// job is a delivery for a slot.
type job struct {
	ports.Delivery

	company company
	choice  choice
}

// finished is an outcome that is to be saved.
type finished struct {
	finish   ports.Finish
	endpoint string
	company  company
	size     int64 // bytes charged for the request
	reserved int64 // bytes reserved for the response
}

// New returns a pool. Run starts it.
func New(opts Options, work ports.Work, processor Processor) *Pool {
	p := &Pool{
		opts: opts, work: work, processor: processor,
		capacity: newCapacity(opts),
		memory:   newMemory(opts),
		// At most Slots calls run, and nothing is fetched while Slots outcomes are unsaved: neither channel blocks long. With
		// more slots than there were at first a channel may be full while one of them, or the saving, is about to read it.
		jobs:     make(chan job, opts.Slots),
		finished: make(chan finished, opts.Slots),
	}
	p.crew.want = opts.Slots
	p.condition.Store(&errNotRunning)
	return p
}

var errNotRunning = errors.New("not running")

// Probe returns nil while the pool runs, its last outcomes could be saved, and all endpoints are called. While some are
// not it returns a ports.Degraded. It implements ports.Probe and does not block.
func (p *Pool) Probe(context.Context) error {
	if err := *p.condition.Load(); err != nil {
		return err
	}
	if n := len(p.opts.Gates.heldBack()); n > 0 {
		return ports.Degraded(fmt.Sprintf("calls to %d endpoints are held back: a breaker is open, or they are paused", n))
	}
	return nil
}

// fine is what a pool stores when nothing is wrong.
var fine error

// Details returns why calls to endpoints are held back, by endpoint. It implements ports.Detailed.
func (p *Pool) Details() map[string]string { return p.opts.Gates.heldBack() }

var (
	_ ports.Probe    = (*Pool)(nil)
	_ ports.Detailed = (*Pool)(nil)
)

// Run works until ctx ends and then stops: it fetches nothing more, and hands back deliveries whose call has not begun.
// Running calls may go on for Options.Drain; then they are cut off, which is charged. Run returns when all outcomes are
// saved or Options.Save is over. The error is that of a queue that ended by itself. Run is called once.
func (p *Pool) Run(ctx context.Context) error {
	calls, cutOff := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutOff(nil)
	saves, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	accepting, stop := context.WithCancel(ctx)
	defer stop()
	p.condition.Store(&fine)
	defer p.condition.Store(&errNotRunning)

	var saver sync.WaitGroup
	p.crew.open(func() { p.slot(accepting, calls) })
	saver.Go(func() { p.saveOutcomes(saves) })

	err := p.fetch(ctx)
	stop()
	drained := time.AfterFunc(p.opts.Drain, func() { cutOff(ports.ErrInterrupted) })
	defer drained.Stop()
	gaveUp := time.AfterFunc(p.opts.Drain+p.opts.Save, abandon)
	defer gaveUp.Stop()
	p.crew.close()
	close(p.jobs)
	p.crew.done.Wait()
	close(p.finished)
	saver.Wait()
	return err
}

// Change sets how many calls run at once, and which endpoints can be called (nil: all). Calls that run go on.
func (p *Pool) Change(slots int, known []string) {
	p.crew.grow(slots)
	p.capacity.change(slots, known)
	p.memory.share(len(known) > 1)
}

// fetch receives as much work as there is room for, until ctx or the queue ends. Of survivors it keeps only those
// that may run now.
func (p *Pool) fetch(ctx context.Context) error {
	for {
		credit, valid, done, ok := p.capacity.credit(ctx)
		if !ok {
			return nil
		}
		deliveries, err := p.work.Receive(valid, credit)
		stale := valid.Err() != nil
		done()
		kept, excess := p.capacity.divide(deliveries)
		p.run(kept, excess)
		if err != nil && !stale {
			return err
		}
	}
}

// run passes deliveries to the slots: those that are kept are called, the others are handed back at once.
func (p *Pool) run(kept, excess []ports.Delivery) {
	for _, d := range excess {
		p.capacity.begin(&d, crowd)
		p.jobs <- job{Delivery: d, choice: choice{back: true}}
	}
	choices := p.opts.Gates.choose(kept)
	for _, d := range kept {
		j := job{Delivery: d, company: companyOf(&d), choice: choices[d.Token]}
		p.capacity.begin(&d, j.company)
		p.jobs <- j
	}
}

// slot processes one delivery after the other.
func (p *Pool) slot(accepting, calls context.Context) {
	for j := range p.jobs {
		d := j.Delivery
		f := finished{endpoint: d.Request.Endpoint, company: j.company, size: d.Request.Size()}
		f.finish = ports.Finish{ID: d.Request.ID, Token: d.Token}
		delay, back := p.handsBack(accepting, &j)
		if back {
			f.finish.Outcome = application.HandBack(d, p.opts.Now().UTC(), delay)
		} else {
			f.finish.Outcome, f.reserved = p.call(calls, d)
		}
		p.finished <- f
		p.capacity.end(d.Request.Endpoint, !back, j.choice.probe)
	}
}

// handsBack reports whether a delivery is handed back without a call, and for how long: after the stop, when its lease
// is lost, when it is one survivor too many, and when its endpoint is not to be called, or only for a few probes.
func (p *Pool) handsBack(accepting context.Context, j *job) (delay time.Duration, back bool) {
	if accepting.Err() != nil || j.Lease.Err() != nil {
		return 0, true
	}
	delay = max(j.choice.delay, p.opts.Gates.closedFor(j.Request.Endpoint))
	return delay, j.choice.back || delay > 0
}

// call processes a delivery while its lease lasts. It also returns the bytes that the call reserved, which stay
// reserved until the outcome is saved.
func (p *Pool) call(ctx context.Context, d ports.Delivery) (domain.Outcome, int64) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(d.Lease, func() { cancel(ports.ErrInterrupted) })
	defer stop()
	r := reservation{memory: p.memory, endpoint: d.Request.Endpoint}
	outcome := p.processor.Process(ctx, d, r.reserve)
	return outcome, r.held
}
