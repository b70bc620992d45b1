// Package outage is what everybody does who uses a broker that may be away: pause longer and longer between two tries,
// and tell operators once when it begins and once when it is over.
package outage

import (
	"log/slog"
	"sync"
	"time"
)

// Calm is how long nothing may have gone wrong before an outage is over: while one of several nodes is away, say, calls
// of others succeed between those that do not.
const Calm = 3 * time.Second

// Log writes one line when a broker cannot be used and one when it can again, whoever notices. It is safe for
// concurrent use.
type Log struct {
	Name   string // of the broker
	Logger *slog.Logger
	Now    func() time.Time

	mu     sync.Mutex
	away   bool
	since  time.Time // of the outage
	failed time.Time // the last time something went wrong
}

// Report takes note of how a call ended.
func (l *Log) Report(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failed = l.Now()
		if !l.away {
			l.away, l.since = true, l.failed
			l.Logger.Error("a broker cannot be used; trying again until it can", "broker", l.Name, "error", err)
		}
	case l.away && l.Now().Sub(l.failed) >= Calm:
		l.away = false
		l.Logger.Info("a broker can be used again", "broker", l.Name)
	}
}

// Lasts reports whether there is an outage, and its last failure came that long after its first.
func (l *Log) Lasts(long time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away && l.failed.Sub(l.since) >= long
}
