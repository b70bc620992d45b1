package outage

import (
	"cmp"
	"time"
)

// usualQuiet is how long lines that are alike are held back after one of them, unless Rarely.Quiet says otherwise.
const usualQuiet = 5 * time.Second

// Rarely throttles a log line that may be due many times a second: it lets one through every 5 s, and counts how many
// that one stands for. The zero value is ready. It is not safe for concurrent use.
type Rarely struct {
	Quiet time.Duration // between two lines; 0: 5 s

	next  time.Time
	count int
}

// Note counts one more line. It returns how many the caller should log as one now, this one included; 0: log nothing.
func (r *Rarely) Note(now time.Time) int {
	r.count++
	if now.Before(r.next) {
		return 0
	}
	n := r.count
	r.next, r.count = now.Add(cmp.Or(r.Quiet, usualQuiet)), 0
	return n
}
