// Package worker is the pipeline that carries deliveries from the queue to the use-case and their outcomes back: one
// goroutine fetches, a constant number of slots call, one settles in groups.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Options of a pool.
type Options struct {
	Slots    int           // calls at once
	MaxBytes int64         // of requests held at once, and as much again of responses over ports.UnreservedBytes
	Gates    *Gates        // limits of single endpoints
	Known    []string      // endpoints that can be called; nil: all
	Drain    time.Duration // what running calls get at a shutdown before they are cut off
	Settle   time.Duration // what saving the last outcomes may take after that
	Now      func() time.Time
	Logger   *slog.Logger
}

const (
	saveTimeout   = 30 * time.Second // for one try to save a group
	complainEvery = time.Minute      // that outcomes are not saved is said so often at most
)

// Processor is the use-case that a slot runs.
type Processor interface {
	// Process blocks for one attempt and gives its outcome. See application.Process.
	Process(ctx context.Context, d ports.Delivery, reserve ports.Reserve) domain.Outcome
}

// Pool works deliveries off.
type Pool struct {
	opts      Options
	work      ports.Work
	processor Processor
	account   *account
	memory    *memory
	jobs      chan job
	settles   chan settlement
	condition atomic.Pointer[error] // what Probe answers
}

// job is a delivery for a slot.
type job struct {
	ports.Delivery

	back time.Duration // it is handed back for so long; 0: it is called
}

// settlement is an outcome on its way to be saved.
type settlement struct {
	finish   ports.Finish
	endpoint string
	size     int64 // that the request was charged with
	reserved int64 // for the response
}

// New makes a pool.
func New(opts Options, work ports.Work, processor Processor) *Pool {
	p := &Pool{
		opts: opts, work: work, processor: processor,
		account: newAccount(opts),
		memory:  newMemory(opts),
		// Slots calls run, and nothing is fetched while Slots outcomes wait: neither channel blocks for long.
		jobs:    make(chan job, opts.Slots),
		settles: make(chan settlement, opts.Slots),
	}
	p.condition.Store(&errNotRunning)
	return p
}

var errNotRunning = errors.New("not running")

// Probe tells whether the pool works: it runs, and what it did last was saved. It implements ports.Probe and does not
// block.
func (p *Pool) Probe(context.Context) error { return *p.condition.Load() }

// fine is what Probe answers when nothing is wrong.
var fine error

// Details tells which circuit breakers are not closed, by endpoint. It implements ports.Detailed.
func (p *Pool) Details() map[string]string {
	details := make(map[string]string)
	for endpoint, state := range p.opts.Gates.Breakers() {
		switch state {
		case BreakerOpen:
			details[endpoint] = "breaker open"
		case BreakerHalfOpen:
			details[endpoint] = "breaker half-open"
		case BreakerClosed:
		}
	}
	return details
}

var (
	_ ports.Probe    = (*Pool)(nil)
	_ ports.Detailed = (*Pool)(nil)
)

// Run works until ctx ends, and then stops in two stages: it takes nothing new and hands back what is not begun;
// running calls get Drain and are then cut off, which is charged. It returns when everything is settled: nil, or the
// error of a queue that ended by itself. To be called once.
func (p *Pool) Run(ctx context.Context) error {
	calls, cutOff := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutOff(nil)
	saves, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	accepting, stop := context.WithCancel(ctx)
	defer stop()
	p.condition.Store(&fine)
	defer p.condition.Store(&errNotRunning)

	var slots, settler sync.WaitGroup
	for range p.opts.Slots {
		slots.Go(func() { p.slot(accepting, calls) })
	}
	settler.Go(func() { p.settle(saves) })

	err := p.fetch(ctx)
	stop()
	drained := time.AfterFunc(p.opts.Drain, func() { cutOff(ports.ErrInterrupted) })
	defer drained.Stop()
	gaveUp := time.AfterFunc(p.opts.Drain+p.opts.Settle, abandon)
	defer gaveUp.Stop()
	close(p.jobs)
	slots.Wait()
	close(p.settles)
	settler.Wait()
	return err
}

// fetch asks for as much work as there is room for.
func (p *Pool) fetch(ctx context.Context) error {
	for {
		credit, good, done, ok := p.account.credit(ctx)
		if !ok {
			return nil
		}
		deliveries, err := p.work.Receive(good, credit)
		stale := good.Err() != nil
		done()
		back := p.opts.Gates.choose(deliveries)
		for _, d := range deliveries {
			p.account.begin(&d)
			p.jobs <- job{d, back[d.Token]}
		}
		if err != nil && !stale {
			return err
		}
	}
}

// slot calls, one delivery after the other.
func (p *Pool) slot(accepting, calls context.Context) {
	for j := range p.jobs {
		d := j.Delivery
		s := settlement{endpoint: d.Request.Endpoint, size: d.Request.Size()}
		s.finish = ports.Finish{ID: d.Request.ID, Token: d.Token}
		if delay, back := p.refused(accepting, &j); back {
			s.finish.Outcome = application.HandBack(d, p.opts.Now().UTC(), delay)
		} else {
			s.finish.Outcome, s.reserved = p.call(calls, d)
		}
		p.settles <- s
		p.account.end(d.Request.Endpoint)
	}
}

// refused tells what is handed back, and for how long: everything after the stop; what is no longer ours, as the queue
// will say; and what was fetched for an endpoint that is not to be called, or only for a few probes.
func (p *Pool) refused(accepting context.Context, j *job) (delay time.Duration, back bool) {
	if accepting.Err() != nil || j.Lease.Err() != nil {
		return 0, true
	}
	delay = max(j.back, p.opts.Gates.closedFor(j.Request.Endpoint))
	return delay, delay > 0
}

// call processes a delivery for as long as it is ours. What it reserved stays so until the outcome is saved.
func (p *Pool) call(ctx context.Context, d ports.Delivery) (domain.Outcome, int64) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(d.Lease, func() { cancel(ports.ErrInterrupted) })
	defer stop()
	r := reservation{memory: p.memory, endpoint: d.Request.Endpoint}
	outcome := p.processor.Process(ctx, d, r.take)
	return outcome, r.held
}

// settle saves outcomes: whatever has gathered while the last group was saved is the next one. What was not saved is in
// it again, after a pause, so that an outcome in trouble holds up no other for long. Until they are saved, deliveries
// stay charged: a store that is away stops the pool instead of piling results up.
func (p *Pool) settle(ctx context.Context) {
	var unsaved []settlement
	var quiet time.Time // until then nothing is said of what is not saved
	var pause outage.Backoff
	for {
		group := p.gather(unsaved)
		if len(group) == 0 {
			return
		}
		var cause error
		if unsaved, cause = p.save(ctx, group); cause == nil {
			pause.Reset()
			continue
		}
		if now := p.opts.Now(); !now.Before(quiet) {
			quiet = now.Add(complainEvery)
			p.opts.Logger.Warn("outcomes not saved yet", "waiting", len(unsaved), "error", cause)
		}
		if !pause.Wait(ctx) {
			p.opts.Logger.Error("outcomes not saved before the end: these requests will be called again",
				"requests", len(unsaved))
			unsaved = nil
		}
	}
}

// gather adds to a group the outcomes that are there. It blocks for one when there is none; the group stays empty when
// no more will come.
func (p *Pool) gather(group []settlement) []settlement {
	if len(group) == 0 {
		first, open := <-p.settles
		if !open {
			return nil
		}
		group = append(group, first)
	}
	for {
		select {
		case s, open := <-p.settles:
			if !open {
				return group
			}
			group = append(group, s)
		default:
			return group
		}
	}
}

// save tries once, and returns what was neither saved nor lost, and why.
func (p *Pool) save(ctx context.Context, group []settlement) (unsaved []settlement, cause error) {
	finishes := make([]ports.Finish, len(group))
	for i := range group {
		finishes[i] = group[i].finish
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	for i, err := range p.work.Finish(ctx, finishes) {
		// Of a queue that is closed nothing can be saved any more; it hands the request out again when it is open.
		if err == nil || errors.Is(err, ports.ErrLost) || errors.Is(err, ports.ErrClosed) {
			p.memory.release(group[i].endpoint, group[i].reserved)
			p.account.settle(group[i].endpoint, group[i].size)
			continue
		}
		unsaved, cause = append(unsaved, group[i]), err
	}
	p.condition.Store(&cause)
	return unsaved, cause
}
