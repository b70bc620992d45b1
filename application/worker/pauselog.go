package worker

import "time"

// pausesQuiet is how long the log says nothing more about an endpoint that is paused again and again, and how long it
// must not have been paused to count as no longer paused.
const pausesQuiet = time.Minute

// pauseLog decides when the log says that an endpoint is paused. The zero value is ready.
type pauseLog struct {
	open  bool // the log has not said that it is over
	said  time.Time
	count int // pauses since then
}

// begin notes a pause. It returns how many the caller should log as one, this one included; 0: log nothing.
func (l *pauseLog) begin(now time.Time) int {
	l.count++
	if l.open && now.Sub(l.said) < pausesQuiet {
		return 0
	}
	n := l.count
	*l = pauseLog{open: true, said: now}
	return n
}

// over reports, once, that the pauses are over. It is asked when a call has ended without another one; until is when
// the last pause ended.
func (l *pauseLog) over(now, until time.Time) bool {
	if !l.open || now.Sub(until) < pausesQuiet {
		return false
	}
	*l = pauseLog{}
	return true
}
