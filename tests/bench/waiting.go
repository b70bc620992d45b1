package main

// many works off a queue of very many.
func (b *bench) many(sys *system) (*waiting, error) {
	s, err := b.open(sys)
	if err != nil {
		return nil, err
	}
	defer s.drop()
	if _, err := b.fill(sys, s, b.waiting); err != nil {
		return nil, err
	}
	w := &waiting{Waiting: b.waiting}
	if err := w.restart(sys, s); err != nil {
		return nil, err
	}
	w.Many, err = b.workOff(sys, s)
	return w, err
}

// restart measures a process that has just been started on what waits.
func (w *waiting) restart(sys *system, s *store) error {
	p, err := sys.start(roleAPI, s)
	if err != nil {
		return err
	}
	defer p.kill()
	w.ReadySeconds = p.started.Seconds()
	resident, err := p.resident()
	w.ResidentMB = megabytes(resident)
	if s.redis != nil && err == nil {
		resident, err = s.redis.resident()
		w.RedisMB = megabytes(resident)
	}
	return err
}

func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
