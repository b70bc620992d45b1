package bootstrap

import (
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain/outage"
)

// silenceLibraries keeps what libraries write to Go's standard log off our output: net/http prints the beginning of
// what a backend sends on an idle connection there, and that may be somebody's data. Only that there was something is
// logged.
func silenceLibraries(logger *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(&libraryLog{logger: logger, now: time.Now})
}

// libraryLog drops the texts that it is given, and counts them.
type libraryLog struct {
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	rarely outage.Rarely
}

func (l *libraryLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	n := l.rarely.Note(l.now())
	l.mu.Unlock()
	if n > 0 {
		l.logger.Info("a library logged something; its text is dropped, it may hold bytes of a response", "count", n)
	}
	return len(p), nil
}
