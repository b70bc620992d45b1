package bootstrap

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx/fxtest"

	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// waiting is a start that waits, and its log.
type waiting struct {
	*brokers

	supervisor *supervisor
	log        bytes.Buffer
}

func newWaiting(ctx context.Context, t *testing.T, timeout time.Duration) *waiting {
	t.Helper()
	w := &waiting{}
	logger := slog.New(slog.NewTextHandler(&w.log, nil))
	w.supervisor = newSupervisor(logger)
	w.brokers = newBrokers(fxtest.NewLifecycle(t), startContext{ctx}, configs.Config{StartTimeout: timeout},
		w.supervisor, new(front), newOpening(), logger)
	return w
}

func (w *waiting) state() error { return unopened{w.opening, "queue"}.Probe(context.Background()) }

func TestAStartTriesAgainUntilTheBrokerIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWaiting(t.Context(), t, 0)
		begun := time.Now()
		opened, err := await(w.brokers, "queue", func(context.Context) (int, error) {
			if time.Since(begun) < 10*time.Minute {
				return 0, fmt.Errorf("%w: still loading", ports.ErrUnavailable)
			}
			require.ErrorContains(t, w.state(), "still loading")
			return 7, nil
		})
		require.NoError(t, err)
		require.Equal(t, 7, opened)
		require.Less(t, time.Since(begun), 10*time.Minute+5*time.Second)
		require.ErrorIs(t, w.state(), errNotOpen)
		require.NotContains(t, w.state().Error(), "still loading")
		warnings := strings.Count(w.log.String(), "the start waits for it")
		require.GreaterOrEqual(t, warnings, 9, "once a minute")
		require.LessOrEqual(t, warnings, 11)
		require.Contains(t, w.log.String(), "still loading")
		require.Equal(t, 1, strings.Count(w.log.String(), "the start goes on"))
	})
}

func TestABrokerThatIsThereIsNotLogged(t *testing.T) {
	t.Parallel()
	w := newWaiting(t.Context(), t, time.Hour)
	_, err := await(w.brokers, "queue", func(context.Context) (int, error) { return 0, nil })
	require.NoError(t, err)
	require.Empty(t, w.log.String())
}

func TestAStartDoesNotWaitForWhatDoesNotPass(t *testing.T) {
	t.Parallel()
	for _, want := range []error{
		errors.New("redis.shards is 3"),
		ports.ErrClosed,
		fmt.Errorf("%w: asks for a password", ports.ErrRefused),
		fmt.Errorf("%w: compacted", ports.ErrMisconfigured),
		fmt.Errorf("%w: %w", ports.ErrUnavailable, &tls.CertificateVerificationError{Err: errors.New("unknown")}),
		fmt.Errorf("%w: %w", ports.ErrUnavailable, tls.AlertError(42)),
		fmt.Errorf("%w: %w", ports.ErrUnavailable, tls.RecordHeaderError{Msg: "not a TLS handshake"}),
	} {
		w := newWaiting(t.Context(), t, 0)
		tries := 0
		_, err := await(w.brokers, "queue", func(context.Context) (int, error) {
			tries++
			return 0, want
		})
		require.Equal(t, want, err)
		require.Equal(t, 1, tries)
		require.Empty(t, w.log.String())
	}
}

// TestAWaitingStartEnds also holds that the error says what was waited for, even when the last try was cut off.
func TestAWaitingStartEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		timeout time.Duration
		end     func(*waiting, context.CancelFunc)
		want    error
	}{
		"when start_timeout is over":  {time.Minute, func(*waiting, context.CancelFunc) {}, errStartTimeout},
		"when the process is stopped": {0, func(_ *waiting, stop context.CancelFunc) { stop() }, context.Canceled},
		"when a component fails":      {0, func(w *waiting, _ context.CancelFunc) { w.supervisor.fail() }, errComponentEnded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				w := newWaiting(ctx, t, tt.timeout)
				begun := time.Now()
				time.AfterFunc(time.Minute, func() { tt.end(w, stop) })
				tries := 0
				_, err := await(w.brokers, "queue", func(ctx context.Context) (int, error) {
					if tries++; tries == 1 {
						return 0, fmt.Errorf("%w: connection refused", ports.ErrUnavailable)
					}
					<-ctx.Done()
					return 0, ctx.Err()
				})
				require.ErrorIs(t, err, tt.want)
				require.ErrorContains(t, err, "connection refused")
				require.Equal(t, time.Minute, time.Since(begun))
			})
		})
	}
}
