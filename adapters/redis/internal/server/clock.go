package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	// skewStep is what differences of clocks are rounded to, so that they stay the same from one measurement to the next.
	skewStep = 100 * time.Millisecond
	// SkewWarned is the difference from which operators are warned.
	SkewWarned = time.Second
	// skewReminder is how often the warning is repeated.
	skewReminder = time.Hour
)

// Clock knows by how much the clock of a shard's node is ahead of ours. Redis keeps all times by its own clock.
type Clock struct {
	skew     atomic.Int64 // nanoseconds, rounded
	measured atomic.Int64 // nanoseconds
}

// note notes that the node's clock showed a time at some moment between sent and received, by our clock. A difference
// that may be due to the round trip changes nothing.
func (c *Clock) note(shown, sent, received time.Time) {
	half := max(received.Sub(sent), 0) / 2
	difference := shown.Sub(sent.Add(half))
	if (difference - c.Skew()).Abs() > half+skewStep {
		c.skew.Store(int64(difference.Round(skewStep)))
		c.measured.Store(int64(difference))
	} else if half <= skewStep {
		c.measured.Store(int64(difference))
	}
}

// Skew returns by how much the clock of Redis is ahead of ours: 0 when there is hardly a difference.
func (c *Clock) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// Theirs returns a moment of our clock by the clock of Redis. The zero time stays zero.
func (c *Clock) Theirs(ours time.Time) time.Time { return shifted(ours, c.Skew()) }

// Ours returns a moment of the clock of Redis by our clock. The zero time stays zero.
func (c *Clock) Ours(theirs time.Time) time.Time { return shifted(theirs, -c.Skew()) }

func shifted(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}

// TheirRequest returns a request with its times by the clock of Redis. What it returns is not changed.
func (c *Clock) TheirRequest(r *domain.Request) *domain.Request {
	if c.Skew() == 0 {
		return r
	}
	theirs := *r
	theirs.SubmittedAt, theirs.NotBefore = c.Theirs(r.SubmittedAt), c.Theirs(r.NotBefore)
	theirs.Deadline = c.Theirs(r.Deadline)
	return &theirs
}

// SetOurs makes the times of a request from Redis those of our clock.
func (c *Clock) SetOurs(r *domain.Request) {
	r.SubmittedAt, r.NotBefore, r.Deadline = c.Ours(r.SubmittedAt), c.Ours(r.NotBefore), c.Ours(r.Deadline)
}

// NoteTime notes what the clock of a shard's node showed, a millisecond, while a call was under way that was sent and
// answered at those moments.
func (s *Server) NoteTime(shard *Shard, millis int64, sent, received time.Time) {
	shard.note(time.UnixMilli(millis), sent, received)
	s.skews.report(s.largest((*Clock).Skew), s.opts)
}

// Skew returns the largest measured difference between the clock of Redis and ours; it is positive where Redis is
// ahead. What is due to the round trips is in it.
func (s *Server) Skew() time.Duration {
	return s.largest(func(c *Clock) time.Duration { return time.Duration(c.measured.Load()) })
}

func (s *Server) largest(skew func(*Clock) time.Duration) (largest time.Duration) {
	for _, shard := range s.Shards {
		if one := skew(&shard.Clock); one.Abs() > largest.Abs() {
			largest = one
		}
	}
	return largest
}

// Now returns the present time by the clock of Redis, of its first shard.
func (s *Server) Now() time.Time { return s.Shards[0].Theirs(s.opts.Now()) }

// skewed returns a ports.Degraded while the clocks differ by more than SkewWarned, else nil.
func (s *Server) skewed() error {
	switch skew := s.largest((*Clock).Skew); {
	case skew > SkewWarned:
		return ports.Degraded(fmt.Sprintf("the clock of redis is %s ahead of the clock of this process", skew))
	case skew < -SkewWarned:
		return ports.Degraded(fmt.Sprintf("the clock of redis is %s behind the clock of this process", -skew))
	}
	return nil
}

// skewLog warns of clocks that differ: at once, then rarely, and it says when they agree again.
type skewLog struct {
	mu     sync.Mutex
	warned time.Time // zero: they agree
}

func (l *skewLog) report(skew time.Duration, opts Options) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := opts.Now()
	switch {
	case skew.Abs() <= SkewWarned && !l.warned.IsZero():
		l.warned = time.Time{}
		opts.Logger.Info("the clock of redis agrees with the clock of this process again", "skew", skew.String())
	case skew.Abs() > SkewWarned && (l.warned.IsZero() || now.Sub(l.warned) >= skewReminder):
		l.warned = now
		opts.Logger.Warn("the clock of redis differs from the clock of this process; delays and deadlines still hold "+
			"(synchronize both clocks)", "skew", skew.String())
	}
}
