package redis

import "time"

// quietFor is how long lines that are alike are held back after one of them.
const quietFor = 5 * time.Second

// rarely lets one of many lines through, at most one every few seconds, and counts what the next one stands for. The
// zero value is ready. It is for one goroutine.
type rarely struct {
	next  time.Time
	count int
}

// note counts one more. It gives how many to tell of now, itself included; 0 is none.
func (r *rarely) note(now time.Time) int {
	r.count++
	if now.Before(r.next) {
		return 0
	}
	n := r.count
	r.next, r.count = now.Add(quietFor), 0
	return n
}
