package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// sample is one round of one kind of work.
type sample struct {
	Rate   float64 `json:"per_second"`
	CPU    float64 `json:"cpu_seconds_per_1000"`                  // of the measured program alone
	Redis  float64 `json:"redis_cpu_seconds_per_1000,omitempty"`  // beside it
	Broker float64 `json:"broker_cpu_seconds_per_1000,omitempty"` // likewise
}

// cost is what a piece of work took.
type cost struct {
	took, cpu, redis, broker time.Duration
}

// of spreads it over n requests.
func (c cost) of(n int) sample {
	per1000 := func(d time.Duration) float64 { return d.Seconds() / float64(n) * 1000 }
	return sample{
		Rate: float64(n) / c.took.Seconds(), CPU: per1000(c.cpu), Redis: per1000(c.redis), Broker: per1000(c.broker),
	}
}

// measure runs the rounds, each kind of work in turn, and then what is measured once.
func (b *bench) measure(systems []*system) (*figures, error) {
	f := &figures{Requests: b.requests, Rounds: b.rounds, Clients: b.clients}
	if slices.ContainsFunc(systems, func(sys *system) bool { return sys.counted }) {
		f.Ceiling = &ceiling{}
	}
	for _, sys := range systems {
		f.Systems = append(f.Systems, &measured{Name: sys.name, system: sys})
	}
	if err := b.warm(f.Systems); err != nil {
		return nil, err
	}
	for range b.rounds {
		if err := errors.Join(keep(&f.Gin, b.gin), keep(&f.Post, b.post), b.bareRound(f.Ceiling)); err != nil {
			return nil, err
		}
		for _, m := range f.Systems {
			if err := b.round(m); err != nil {
				return nil, err
			}
		}
	}
	for _, m := range f.Systems {
		if m.Name == onAsynq {
			continue
		}
		if err := b.once(m); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// warmRounds is how many rounds it takes until a broker's Java has compiled most of what it uses.
const warmRounds = 2

// warm runs rounds that do not count, for brokers that are slow at first: see startBroker.
func (b *bench) warm(systems []*measured) error {
	for _, m := range systems {
		for range warmRounds {
			if m.system.carrier == nil {
				break
			}
			if err := b.round(&measured{Name: m.Name, system: m.system}); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep adds a sample to a row of them.
func keep(into *[]sample, take func() (sample, error)) error {
	s, err := take()
	*into = append(*into, s)
	return err
}

// round takes one sample of everything that a system does.
func (b *bench) round(m *measured) error {
	s, err := b.open(m.system)
	if err != nil {
		return err
	}
	defer s.drop()
	if err := keep(&m.Submit, func() (sample, error) { return b.fill(m.system, s, b.requests) }); err != nil {
		return err
	}
	if err := keep(&m.Worker, func() (sample, error) { return b.workOff(m.system, s) }); err != nil {
		return err
	}
	if err := keep(&m.EndToEnd, func() (sample, error) { return b.endToEnd(m.system, roleAll) }); err != nil {
		return err
	}
	if m.Name == embedded || m.Name == onAsynq {
		return nil
	}
	return keep(&m.Apart, func() (sample, error) { return b.endToEnd(m.system, roleAPI, roleWorker) })
}

// once measures what takes long or hardly varies.
func (b *bench) once(m *measured) (err error) {
	if m.Idle, err = b.idle(m.system); err != nil {
		return err
	}
	if m.Latency, err = b.latency(m.system); err != nil {
		return err
	}
	if m.counted() {
		if m.Calls, err = b.economy(m.system); err != nil {
			return err
		}
	}
	if b.waiting > 0 {
		m.Waiting, err = b.many(m.system)
	}
	return err
}

// counted does n requests' work and counts the CPU time of the programs and of what keeps the store; nil: none is kept.
func counted(n int, s *store, programs []*process, work func() error) (sample, error) {
	c, err := costOf(s, programs, work)
	return c.of(n), err
}

func costOf(s *store, programs []*process, work func() error) (cost, error) {
	before, err := costSoFar(s, programs)
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	if err := work(); err != nil {
		return cost{}, err
	}
	took := time.Since(began)
	c, err := costSoFar(s, programs)
	c.took, c.cpu, c.redis, c.broker = took, c.cpu-before.cpu, c.redis-before.redis, c.broker-before.broker
	return c, err
}

func costSoFar(s *store, programs []*process) (c cost, err error) {
	var err1, err2 error
	if s != nil {
		c.redis, err1 = cpuOf([]*process{s.redis})
		c.broker, err2 = cpuOf([]*process{s.broker})
	}
	c.cpu, err = cpuOf(programs)
	return c, errors.Join(err, err1, err2)
}

func (b *bench) submit(address string, n int) error {
	return flood(b.ctx, address, post("/api/v1/submit", submitBody), n, b.clients, 202)
}

func (b *bench) gin() (sample, error) {
	p, err := b.startChild("gin")
	if err != nil {
		return sample{}, err
	}
	defer p.kill()
	return counted(b.requests, nil, []*process{p}, func() error { return b.submit(p.address, b.requests) })
}

// post runs the bare POSTs to their end; the kernel says what they cost.
func (b *bench) post() (sample, error) {
	p, err := b.startChild("post", "http://"+b.backend.address+"/", strconv.Itoa(b.requests), strconv.Itoa(workers))
	if err != nil {
		return sample{}, err
	}
	return b.finished(p, nil)
}

// finished waits for a program that does a round's work and ends; the kernel says what it cost.
func (b *bench) finished(p *process, s *store) (sample, error) {
	c, err := costOf(s, nil, func() error {
		<-p.done
		return nil
	})
	if err != nil {
		return sample{}, err
	}
	state := p.cmd.ProcessState
	if !state.Success() {
		return sample{}, fmt.Errorf("%s: %s: %s", p.cmd, state, p.said)
	}
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, errors.New("no resource usage on this system")
	}
	c.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return c.of(b.requests), nil
}

// fill puts n requests into a store and leaves them there.
func (b *bench) fill(sys *system, s *store, n int) (sample, error) {
	p, err := sys.start(roleAPI, s)
	if err != nil {
		return sample{}, err
	}
	defer p.kill()
	s.filled += n
	return counted(n, s, []*process{p}, func() error { return b.submit(p.address, n) })
}

// workOff starts a worker on a full store and counts from when it is ready until all is done.
func (b *bench) workOff(sys *system, s *store) (sample, error) {
	p, err := sys.start(roleWorker, s)
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	return counted(s.filled, s, []*process{p}, func() error { return sys.drained(b.ctx, p, s) })
}

// endToEnd accepts requests and works them off at the same time, by a process for each of the roles.
func (b *bench) endToEnd(sys *system, roles ...string) (sample, error) {
	s, err := b.open(sys)
	if err != nil {
		return sample{}, err
	}
	defer s.drop()
	programs := make([]*process, len(roles))
	for i, role := range roles {
		if programs[i], err = sys.start(role, s); err != nil {
			return sample{}, err
		}
		defer programs[i].stop()
	}
	s.filled = b.requests
	return counted(b.requests, s, programs, func() error {
		return errors.Join(b.submit(programs[0].address, b.requests), sys.drained(b.ctx, programs[0], s))
	})
}
