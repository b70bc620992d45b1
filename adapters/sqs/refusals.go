package sqs

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// standsFor is how long a refusal counts when nothing was asked again since. It has an end because a process that is
// not ready may get no requests, and then nothing would ever show that it is allowed again.
const standsFor = 30 * time.Second

// refusals holds why requests of one kind to one queue fail until an operator changes something. The next success
// clears it. Reading the depth shows nothing of that, since each kind needs a permission of its own. It is safe
// for concurrent use.
type refusals struct {
	mu    sync.Mutex
	err   error
	until time.Time
}

// note records how a request to a queue ended. A missing queue is an error only if it cannot be made again.
func (s *refusals) note(at *remote, err error) {
	switch {
	case err == nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = nil
	case !missing(err) && denied(err):
		s.keep(at, about(err))
		if forbidden(err) {
			at.link.denied.Note(fmt.Errorf("queue %q: %w", at.name, about(err)))
		}
	}
}

// keep notes an error of a port; nil changes nothing.
func (s *refusals) keep(at *remote, err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.until = fmt.Errorf("queue %q: %w", at.name, err), at.link.opts.Now().Add(standsFor)
}

// get returns the error that counts now; nil when there is none.
func (s *refusals) get(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.until) {
		return s.err
	}
	return nil
}

// refused returns the first error that counts now, of the lanes or, as ports.Degraded, of what lies beside them.
func (q *Queue) refused() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.link.opts.Now()
	if err := cmp.Or(q.receiver.refused(now), q.publisher.refused(now)); err != nil {
		return err
	}
	for _, r := range q.inlets {
		if err := r.refused(now); err != nil {
			return ports.Degraded(err.Error())
		}
	}
	for _, p := range q.outlets {
		if err := p.refused(now); err != nil {
			return ports.Degraded(err.Error())
		}
	}
	return nil
}

func (r *receiver) refused(now time.Time) error {
	for _, s := range r.sources {
		for _, kind := range []*refusals{&s.receiving, &s.deleting, &s.changing} {
			if err := kind.get(now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *publisher) refused(now time.Time) error {
	for _, s := range p.senders {
		if err := s.refusals.get(now); err != nil {
			return err
		}
	}
	return nil
}
