package bootstrap

import (
	"context"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/openhqm/openhqm/domain/outage"
)

func TestDrainHooksRunOneAfterTheOtherAndAreWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended []string
		hook := func(name string) func(context.Context) {
			return func(ctx context.Context) {
				outage.Sleep(ctx, time.Second)
				ended = append(ended, name)
			}
		}
		hooks := newDrainHooks(drainHooksInput{Hooks: []func(context.Context){hook("first"), hook("second")}})
		begun := time.Now()
		hooks.start()
		require.Zero(t, time.Since(begun), "the drain goes on beside them")
		require.NoError(t, hooks.wait(t.Context()))
		require.Equal(t, []string{"first", "second"}, ended)
		require.Equal(t, 2*time.Second, time.Since(begun))
	})
}

func TestDrainHooksEndWithTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endless := func(ctx context.Context) { <-ctx.Done() }
		hooks := newDrainHooks(drainHooksInput{Hooks: []func(context.Context){endless, endless}})
		begun := time.Now()
		hooks.start()

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, hooks.wait(short), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begun), "the shutdown goes on without them")

		require.NoError(t, hooks.wait(t.Context()))
		require.Equal(t, handBackTimeout, time.Since(begun))
	})
}

func TestNobodyWaitsForDrainHooksThatWereNotStarted(t *testing.T) {
	t.Parallel()
	hooks := newDrainHooks(drainHooksInput{Hooks: []func(context.Context){func(context.Context) { t.Error("it ran") }}})
	require.NoError(t, hooks.wait(t.Context()))
}

func TestAProcessStopsWhenItsDrainHooksHaveEnded(t *testing.T) {
	t.Parallel()
	for role := range roles {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			config := load(t, map[string]string{
				"server.host": "127.0.0.1", "server.port": "0", "embedded.dir": filepath.Join(t.TempDir(), "data"),
			})
			config.Role = role // behind the loader's back: the embedded queue has every graph
			var ended atomic.Bool
			last, inTime := make(chan struct{}), false
			app := fx.New(
				fx.Invoke(func(lc fx.Lifecycle) { // the first to start is the last to stop
					lc.Append(fx.StopHook(func() {
						inTime = ended.Load()
						close(last)
					}))
				}),
				Options(t.Context(), config, "test", newTestLog(t, config, io.Discard), Reloads{}, new(front)),
				fx.Provide(func() drainHook {
					return drainHook{Run: func(context.Context) {
						select {
						case <-last: // nobody has waited for this hook
						case <-time.After(300 * time.Millisecond):
						}
						ended.Store(true)
					}}
				}),
			)
			require.NoError(t, app.Start(t.Context()))
			require.False(t, ended.Load())
			require.NoError(t, app.Stop(t.Context()))
			require.True(t, inTime, "the hook was not waited for")
		})
	}
}

func TestHandingBackFitsIntoTheShortestShutdown(t *testing.T) {
	t.Parallel()
	config := load(t, nil)
	config.Worker.Drain, config.Server.ShutdownDelay = 0, 0
	require.LessOrEqual(t, handBackTimeout+closeTimeout, stopTimeout(config))
}
