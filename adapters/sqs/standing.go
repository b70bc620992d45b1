package sqs

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// standsFor is how long a refusal counts when nothing was asked again since. It has an end because a process that is
// not ready may get no requests, and then nothing would ever show that it is allowed again.
const standsFor = 30 * time.Second

// standing is why requests of one kind to one queue cannot succeed before somebody changes something. The next success
// clears it. The depth of a queue tells nothing about that, since each kind needs a permission of its own. It is safe
// for concurrent use.
type standing struct {
	mu    sync.Mutex
	err   error
	until time.Time
}

// note takes note of how a request to a queue ended. Whether a missing queue is an error, only its mending tells.
func (s *standing) note(at *remote, err error) {
	switch {
	case err == nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = nil
	case !missing(err) && denied(err):
		s.keep(at, about(err))
	}
}

// keep takes note of an error of a port; nil changes nothing.
func (s *standing) keep(at *remote, err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.until = fmt.Errorf("queue %q: %w", at.name, err), at.link.opts.Now().Add(standsFor)
}

// get gives the error that counts now; nil: there is none.
func (s *standing) get(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.until) {
		return s.err
	}
	return nil
}

// standing gives the first error that counts now, of the lanes and of what lies beside them.
func (q *Queue) standing() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.link.opts.Now()
	for _, r := range slices.Concat(q.inlets, []*receiver{q.receiver}) {
		if err := r.standing(now); err != nil {
			return err
		}
	}
	for _, p := range slices.Concat(q.outlets, []*publisher{q.publisher}) {
		if err := p.standing(now); err != nil {
			return err
		}
	}
	return nil
}

func (r *receiver) standing(now time.Time) error {
	for _, s := range r.sources {
		for _, kind := range []*standing{&s.receiving, &s.deleting, &s.changing} {
			if err := kind.get(now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *publisher) standing(now time.Time) error {
	for _, s := range p.senders {
		if err := s.standing.get(now); err != nil {
			return err
		}
	}
	return nil
}
