package main

import (
	"errors"
	"time"
)

// idleFor is how long an idle process is watched.
const idleFor = 10 * time.Second

func (b *bench) idle(sys *system) (*idle, error) {
	s, err := b.open(sys)
	if err != nil {
		return nil, err
	}
	defer s.drop()
	p, err := sys.start(roleAll, s)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var asked int
	c, err := costOf(s, []*process{p}, func() (err error) {
		asked, err = b.idling(s)
		return err
	})
	resident, err2 := p.resident()
	percent := func(d time.Duration) float64 { return d.Seconds() / idleFor.Seconds() * 100 }
	return &idle{
		ResidentMB: megabytes(resident), CPUPercent: percent(c.cpu), RedisCPUPercent: percent(c.redis),
		RedisCommands: float64(asked) / idleFor.Seconds(), KafkaCPUPercent: percent(c.kafka),
	}, errors.Join(err, err2)
}

// idling waits and tells how many commands Redis got meanwhile.
func (b *bench) idling(s *store) (asked int, err error) {
	if s.redis != nil {
		if asked, err = commands(b.ctx, s.redis.address); err != nil {
			return 0, err
		}
	}
	select {
	case <-time.After(idleFor):
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
	if s.redis == nil {
		return 0, nil
	}
	after, err := commands(b.ctx, s.redis.address)
	return after - asked - 1, err // the first question is counted in the second answer
}
