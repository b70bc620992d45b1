package redis

import (
	"sync"
	"time"
)

// schedule runs a task when it is due.
type schedule struct {
	now   func() time.Time
	every time.Duration        // when nothing is known to be due
	task  func() time.Duration // returns how long until it is due again

	wake chan struct{} // next has become earlier
	mu   sync.Mutex
	next time.Time // when to run
}

func newSchedule(now func() time.Time, every time.Duration, task func() time.Duration) *schedule {
	return &schedule{now: now, every: every, task: task, wake: make(chan struct{}, 1)}
}

// at makes the task run at that time, unless it is due earlier.
func (s *schedule) at(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.Before(s.next) {
		return
	}
	s.next = t
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run runs the task, at once and then whenever it is due, until done.
func (s *schedule) run(done <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			s.rest()
			s.at(s.now().Add(s.task()))
		case <-s.wake:
		case <-done:
			return
		}
		timer.Reset(s.wait())
	}
}

// rest puts the task off for as long as may be; at makes it earlier again.
func (s *schedule) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.now().Add(s.every)
}

func (s *schedule) wait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.next.Sub(s.now()), sweepPause)
}
