package bootstrap

import (
	"context"
	"errors"
	"log/slog"
	"sync"
)

// supervisor runs the long-lived loops of the process. One that ends before it is told to takes the process down: a
// gateway without workers, or without a listener, must not look alive.
type supervisor struct {
	logger *slog.Logger
	failed context.Context // ends with the first loop that ends early
	fail   context.CancelFunc
}

func newSupervisor(logger *slog.Logger) *supervisor {
	failed, fail := context.WithCancel(context.Background())
	return &supervisor{logger: logger, failed: failed, fail: fail}
}

// loop is a running loop.
type loop struct {
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	stopped bool
}

var errEndedEarly = errors.New("ended without being told to")

// start runs a loop until its context ends.
func (s *supervisor) start(name string, run func(context.Context) error) *loop {
	ctx, cancel := context.WithCancel(context.Background())
	l := &loop{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		err := run(ctx)
		l.mu.Lock()
		expected := l.stopped
		l.mu.Unlock()
		if expected && err == nil {
			return
		}
		if err == nil {
			err = errEndedEarly
		}
		s.logger.Error("loop ended", "loop", name, "error", err)
		s.fail()
	}()
	return l
}

// expectEnd says that the loop is about to end because it was told to.
func (l *loop) expectEnd() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

// tell tells the loop to end.
func (l *loop) tell() {
	l.expectEnd()
	l.stop()
}

// end tells the loop to end and waits until it has, or ctx ends.
func (l *loop) end(ctx context.Context) error {
	l.tell()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
