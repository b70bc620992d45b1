package outage

import "time"

// quietFor is how long lines that are alike are held back after one of them.
const quietFor = 5 * time.Second

// Rarely lets one of many lines of a log through, at most one every few seconds, and counts what the next one stands
// for. The zero value is ready. It is for one goroutine.
type Rarely struct {
	next  time.Time
	count int
}

// Note counts one more. It gives how many to tell of now, itself included; 0 is none.
func (r *Rarely) Note(now time.Time) int {
	r.count++
	if now.Before(r.next) {
		return 0
	}
	n := r.count
	r.next, r.count = now.Add(quietFor), 0
	return n
}
