package bootstrap

import (
	"context"
	"errors"
	"log/slog"
	"sync"
)

// supervisor runs the long-lived loops of the process. A loop that ends before it is stopped takes the process down,
// because a gateway without workers or without a listener must not look alive.
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
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended

	mu      sync.Mutex
	stopped bool
}

var errEndedEarly = errors.New("ended before the process was stopped")

// start runs a loop until its context ends.
func (s *supervisor) start(name string, run func(context.Context) error) *loop {
	ctx, cancel := context.WithCancel(context.Background())
	l := &loop{cancel: cancel, done: make(chan struct{})}
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
		s.logger.Error("a component ended; shutting down", "component", name, "error", err)
		s.fail()
	}()
	return l
}

// expectEnd announces that the loop is about to end because the process stops.
func (l *loop) expectEnd() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

// stop makes the loop end, without waiting for that.
func (l *loop) stop() {
	l.expectEnd()
	l.cancel()
}

// end stops the loop and blocks until it has ended. It returns the error of ctx when that ends first.
func (l *loop) end(ctx context.Context) error {
	l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
