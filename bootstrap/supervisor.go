package bootstrap

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"go.uber.org/fx"
)

// supervisor runs the long-lived loops of the process. One that ends before it is told to takes the process down: a
// gateway without workers, or without a listener, must not look alive.
type supervisor struct {
	logger     *slog.Logger
	shutdowner fx.Shutdowner
}

func newSupervisor(logger *slog.Logger, shutdowner fx.Shutdowner) *supervisor {
	return &supervisor{logger: logger, shutdowner: shutdowner}
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
		// An error here means that the shutdown is under way already.
		_ = s.shutdowner.Shutdown(fx.ExitCode(1))
	}()
	return l
}

// expectEnd says that the loop is about to end because it was told to.
func (l *loop) expectEnd() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

// end tells the loop to end and waits until it has, or ctx ends.
func (l *loop) end(ctx context.Context) error {
	l.expectEnd()
	l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
