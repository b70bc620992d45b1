package main

import (
	"context"
	"errors"
	"time"
)

const (
	// idleFor is how long an idle process is watched.
	idleFor = 10 * time.Second
	// idleForPolls is the same where a poll takes 20 s.
	idleForPolls = time.Minute
)

func (b *bench) idle(sys *system) (*idle, error) {
	s, err := b.open(sys)
	if err != nil {
		return nil, err
	}
	defer s.drop()
	watched := idleFor
	if sys.counted {
		watched = idleForPolls
		if err := s.ask(b.ctx); err != nil {
			return nil, err
		}
	}
	p, err := sys.start(roleAll, s)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	i := &idle{}
	c, err := costOf(s, []*process{p}, func() error { return i.watch(b.ctx, s, watched) })
	resident, err2 := p.resident()
	percent := func(d time.Duration) float64 { return d.Seconds() / watched.Seconds() * 100 }
	i.ResidentMB, i.CPUPercent = megabytes(resident), percent(c.cpu)
	i.RedisCPUPercent, i.BrokerCPUPercent = percent(c.redis), percent(c.broker)
	return i, errors.Join(err, err2)
}

// watch waits, and records what Redis and the broker are asked for meanwhile.
func (i *idle) watch(ctx context.Context, s *store, watched time.Duration) error {
	asked := s.asked.soFar()
	before, err := s.commands(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(watched):
	case <-ctx.Done():
		return ctx.Err()
	}
	i.Requests = s.asked.per(watched.Minutes(), asked)
	if s.redis == nil {
		return nil
	}
	after, err := s.commands(ctx)
	i.RedisCommands = float64(after-before-1) / watched.Seconds() // the first question is counted in the second answer
	return err
}
