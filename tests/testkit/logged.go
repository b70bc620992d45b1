package testkit

import (
	"bytes"
	"log/slog"
	"sync"
)

// Logged keeps what code under test logs in this process, as text. It is safe for concurrent use.
type Logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Logger returns a logger that writes to it.
func (l *Logged) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write adds to what was logged. It never fails.
func (l *Logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all that was logged so far.
func (l *Logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
