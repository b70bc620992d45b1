package httpapi

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

const (
	// shortageLasts is how long after its last sign a shortage is shown in /health.
	shortageLasts = 10 * time.Second

	// shortageQuiet is the pause between two log lines about the same shortage.
	shortageQuiet = time.Minute
)

// Shortage knows whether the listeners of a Server run out of connections or file descriptors, for /health and the log.
// It is safe for concurrent use.
type Shortage struct {
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	last   string
	at     time.Time
	logged map[string]time.Time
}

// NewShortage returns a Shortage without any sign of one.
func NewShortage(logger *slog.Logger, now func() time.Time) *Shortage {
	return &Shortage{logger: logger, now: now, logged: make(map[string]time.Time)}
}

// Probe implements ports.Probe. It returns a ports.Degraded while there is a shortage.
func (s *Shortage) Probe(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == "" || s.now().Sub(s.at) > shortageLasts {
		return nil
	}
	return ports.Degraded(s.last)
}

// note notes a sign of a shortage, and logs it once a minute.
func (s *Shortage) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.last, s.at = what, now
	if logged, before := s.logged[what]; before && now.Sub(logged) < shortageQuiet {
		return
	}
	s.logged[what] = now
	s.logger.Warn("the HTTP interface is short of connections", "shortage", what)
}
