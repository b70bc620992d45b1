package testkit

import (
	"bytes"
	"log/slog"
	"sync"
)

// LogBuffer keeps what code of ours logs in the test's own process. It is safe for concurrent use; the zero value is
// empty.
type LogBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write adds to it.
func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all that was logged.
func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Logger returns a logger that writes to it, as text.
func (l *LogBuffer) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
