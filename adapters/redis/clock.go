package redis

import "time"

// Whatever Redis holds of a moment is by its own clock, so that processes with other clocks agree about it: see
// server.Clock. Delays, retries and deadlines are spans, which the scripts add to the time of Redis; they hold even
// while the difference of the clocks is not known.

// until returns how many milliseconds it is from now to a moment, rounded up: less than 0 when it has passed. The zero
// time has come: 0.
func until(moment, now time.Time) int64 {
	if moment.IsZero() {
		return 0
	}
	return int64((moment.Sub(now) + time.Millisecond - 1) / time.Millisecond)
}
