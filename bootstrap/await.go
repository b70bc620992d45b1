package bootstrap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// brokers waits at the start for brokers that are away or loading.
type brokers struct {
	start   context.Context // ends with a reason as its cause
	front   *front
	opening *opening
	logger  *slog.Logger
}

// newBrokers waits until the process is stopped, start_timeout is over, or a component fails.
func newBrokers(
	lc fx.Lifecycle, start startContext, config configs.Config, s *supervisor, front *front, opening *opening,
	logger *slog.Logger,
) *brokers {
	ctx, end := context.WithCancelCause(start.Context)
	context.AfterFunc(s.failed, func() { end(errComponentEnded) })
	if config.StartTimeout > 0 {
		timer := time.AfterFunc(config.StartTimeout, func() { end(errStartTimeout) })
		lc.Append(fx.StartHook(func() { timer.Stop() }))
	}
	return &brokers{start: ctx, front: front, opening: opening, logger: logger}
}

// remindEvery is how often the log repeats what the start waits for.
const remindEvery = time.Minute

// await opens something of a component of /health, and tries again while its broker is away. What no waiting can mend,
// such as a wrong password, is an error at once. When the start ends, the error is why the broker could not be used.
func await[T any](b *brokers, component string, open func(context.Context) (T, error)) (opened T, err error) {
	var pause outage.Backoff
	var cause error // of the last failure
	var logged time.Time
	for begun := time.Now(); ; {
		if opened, err = open(b.start); err == nil {
			if cause != nil {
				b.logger.Info("broker available; the start goes on", "component", component, "waited", time.Since(begun))
			}
			b.opening.waits(component, nil)
			return opened, nil
		}
		if b.start.Err() != nil {
			return opened, b.over(cmp.Or(cause, err))
		}
		if !passes(err) {
			return opened, err
		}
		cause = err
		b.opening.waits(component, err)
		if time.Since(logged) >= remindEvery {
			logged = time.Now()
			b.logger.Warn("broker unavailable; the start waits for it (check the broker and the network)",
				"component", component, "error", err, "health_address", b.front.address())
		}
		if !pause.Wait(b.start) {
			return opened, b.over(err)
		}
	}
}

// over returns the error of a start that has ended before the broker was there.
func (b *brokers) over(cause error) error {
	return fmt.Errorf("%w: %w", context.Cause(b.start), cause)
}

// errStartTimeout ends a start that has waited for brokers long enough.
var errStartTimeout = errors.New("start_timeout is over")

// passes reports whether an adapter that could not be opened may open later, without an operator.
func passes(err error) bool {
	if !errors.Is(err, ports.ErrUnavailable) && !errors.Is(err, ports.ErrFull) {
		return false
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, distrusts := errors.AsType[tls.AlertError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	return !errors.Is(err, ports.ErrRefused) && !untrusted && !distrusts && !plain
}
