package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// sample is one round of one kind of work.
type sample struct {
	Rate float64 `json:"per_second"`
	CPU  float64 `json:"cpu_seconds_per_1000"` // of the measured process alone
}

func sampleOf(n int, took, cpu time.Duration) sample {
	return sample{Rate: float64(n) / took.Seconds(), CPU: cpu.Seconds() / float64(n) * 1000}
}

// The configurations: work that stays where it is, and work that is done.
const (
	hanging = "worker: {count: 1, drain: 0s}\nproxy: {default_endpoint: b, endpoints: {b: {url: 'http://%s/hang'}}}\n"
	working = "worker: {drain: 5s}\n" +
		"proxy: {default_endpoint: b, endpoints: {b: {url: 'http://%s/'}}}\n"
)

// measure takes the rounds, each kind of work in turn.
func (b *bench) measure() (*figures, error) {
	f := &figures{Requests: b.requests, Rounds: b.rounds, Clients: b.clients}
	rounds := []struct {
		into *[]sample
		take func() (sample, error)
	}{
		{&f.Gin, b.gin}, {&f.Submit, b.submit}, {&f.Post, b.post}, {&f.Worker, b.worker}, {&f.EndToEnd, b.endToEnd},
	}
	for range b.rounds {
		for _, round := range rounds {
			s, err := round.take()
			if err != nil {
				return nil, err
			}
			*round.into = append(*round.into, s)
		}
	}
	var err error
	if f.Idle, err = b.idle(); err != nil {
		return nil, err
	}
	if f.Latency, err = b.latency(); err != nil {
		return nil, err
	}
	if b.waiting > 0 {
		f.Waiting, err = b.many()
	}
	return f, err
}

// loaded floods p and counts its CPU time.
func (b *bench) loaded(p *process, until func() error) (sample, error) {
	before, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	if err := flood(b.ctx, p.address, post("/api/v1/submit", submitBody), b.requests, b.clients, 202); err != nil {
		return sample{}, err
	}
	if err := until(); err != nil {
		return sample{}, err
	}
	took := time.Since(began)
	after, err := p.cpu()
	return sampleOf(b.requests, took, after-before), err
}

func nothing() error { return nil }

func (b *bench) gin() (sample, error) {
	p, err := b.startChild("gin")
	if err != nil {
		return sample{}, err
	}
	defer p.kill()
	return b.loaded(p, nothing)
}

func (b *bench) submit() (sample, error) {
	p, err := b.startGateway(b.fresh(), fmt.Sprintf(hanging, b.backend.address))
	if err != nil {
		return sample{}, err
	}
	defer p.kill()
	return b.loaded(p, nothing)
}

func (b *bench) endToEnd() (sample, error) {
	p, err := b.startGateway(b.fresh(), fmt.Sprintf(working, b.backend.address))
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	return b.loaded(p, func() error { return drained(b.ctx, p.address) })
}

// post runs the bare POSTs to their end; the kernel tells what they cost.
func (b *bench) post() (sample, error) {
	p, err := b.startChild("post", "http://"+b.backend.address+"/", strconv.Itoa(b.requests), strconv.Itoa(b.clients))
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	<-p.done
	took := time.Since(began)
	state := p.cmd.ProcessState
	if !state.Success() {
		return sample{}, errors.New("bare POST failed")
	}
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, errors.New("no resource usage on this system")
	}
	return sampleOf(b.requests, took, time.Duration(usage.Utime.Nano()+usage.Stime.Nano())), nil
}

// worker fills the queue of a gateway whose backend hangs, kills it, and lets another one work it off.
func (b *bench) worker() (sample, error) {
	dir := b.fresh()
	if err := b.fill(dir, b.requests); err != nil {
		return sample{}, err
	}
	return b.workOff(dir, b.requests)
}

// fill leaves n requests in a data directory.
func (b *bench) fill(dir string, n int) error {
	p, err := b.startGateway(dir, fmt.Sprintf(hanging, b.backend.address))
	if err != nil {
		return err
	}
	defer p.kill()
	return flood(b.ctx, p.address, post("/api/v1/submit", submitBody), n, b.clients, 202)
}

// workOff starts a gateway on a full queue and waits until it is empty.
func (b *bench) workOff(dir string, n int) (sample, error) {
	began := time.Now()
	p, err := b.startGateway(dir, fmt.Sprintf(working, b.backend.address))
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	if err := drained(b.ctx, p.address); err != nil {
		return sample{}, err
	}
	took := time.Since(began)
	cpu, err := p.cpu()
	return sampleOf(n, took, cpu), err
}

// fresh names a data directory that does not exist yet.
func (b *bench) fresh() string {
	b.serial++
	return filepath.Join(b.dir, "data-"+strconv.Itoa(b.serial))
}

// idleFor is how long an idle process is watched.
const idleFor = 10 * time.Second

func (b *bench) idle() (idle, error) {
	p, err := b.startGateway(b.fresh(), fmt.Sprintf(working, b.backend.address))
	if err != nil {
		return idle{}, err
	}
	defer p.stop()
	before, err1 := p.cpu()
	select {
	case <-time.After(idleFor):
	case <-b.ctx.Done():
	}
	after, err2 := p.cpu()
	resident, err3 := p.resident()
	return idle{
		ResidentMB: float64(resident) / (1 << 20), CPUPercent: float64(after-before) / float64(idleFor) * 100,
	}, errors.Join(err1, err2, err3, b.ctx.Err())
}

// many compares a thousand with a million waiting.
func (b *bench) many() (*waiting, error) {
	few, dir := 1000, b.fresh()
	if err := b.fill(dir, few); err != nil {
		return nil, err
	}
	small, err := b.workOff(dir, few)
	if err != nil {
		return nil, err
	}
	dir = b.fresh()
	if err := b.fill(dir, b.waiting); err != nil {
		return nil, err
	}
	p, err := b.startGateway(dir, fmt.Sprintf(hanging, b.backend.address))
	if err != nil {
		return nil, err
	}
	resident, err := p.resident()
	p.kill()
	if err != nil {
		return nil, err
	}
	large, err := b.workOff(dir, b.waiting)
	w := &waiting{
		Waiting: b.waiting, ReadySeconds: p.started.Seconds(), ResidentMB: float64(resident) / (1 << 20),
		Few: small, Many: large,
	}
	return w, errors.Join(err, os.RemoveAll(dir))
}

// median by rate and by CPU, each for itself.
func median(samples []sample) sample {
	pick := func(of func(sample) float64) float64 {
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = of(s)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return sample{
		Rate: pick(func(s sample) float64 { return s.Rate }),
		CPU:  pick(func(s sample) float64 { return s.CPU }),
	}
}
