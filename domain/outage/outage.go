// Package outage holds what every user of a broker does while the broker is away: it pauses longer and longer between
// two tries, and logs the beginning and the end once.
package outage

import (
	"log/slog"
	"sync"
	"time"
)

// Calm is how long no call may have failed before an outage counts as over. While one of several nodes is away, calls
// of the other nodes succeed in between.
const Calm = 3 * time.Second

// Log writes one line when a broker cannot be used and one when it can again, however many calls fail. It is safe for
// concurrent use.
type Log struct {
	Name   string // of the broker
	Logger *slog.Logger
	Now    func() time.Time

	mu     sync.Mutex
	away   bool
	since  time.Time // the first failure of the outage
	failed time.Time // the last failure
}

// Report notes how a call of the broker ended; nil: it succeeded.
func (l *Log) Report(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failed = l.Now()
		if !l.away {
			l.away, l.since = true, l.failed
			l.Logger.Error("broker unavailable; retrying until it answers (check the broker and the network)",
				"broker", l.Name, "error", err)
		}
	case l.away && l.Now().Sub(l.failed) >= Calm:
		l.away = false
		l.Logger.Info("broker available again", "broker", l.Name, "outage", l.failed.Sub(l.since))
	}
}

// Lasts reports whether there is an outage whose last failure came at least long after its first.
func (l *Log) Lasts(long time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away && l.failed.Sub(l.since) >= long
}
