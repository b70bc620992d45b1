package bootstrap

import (
	"context"
	"fmt"

	"go.uber.org/fx"
)

// drainHook is what a constructor returns to have something done when the process begins to drain, while calls of
// backends still run: what this process has received and not begun goes to other workers at once. Run ends soon after
// its context.
type drainHook struct {
	fx.Out

	Run func(context.Context) `group:"drain_hooks"`
}

// handBackTimeout bounds all drain hooks together. It is within what stopTimeout has for the stages that they run
// beside.
const handBackTimeout = listenerDrain + saveTimeout

// drainHooks runs the drain hooks of all constructors.
type drainHooks struct {
	hooks []func(context.Context)
	done  chan struct{} // closed when all have ended; nil: not started
}

type drainHooksInput struct {
	fx.In

	Hooks []func(context.Context) `group:"drain_hooks"`
}

func newDrainHooks(in drainHooksInput) *drainHooks { return &drainHooks{hooks: in.Hooks} }

// start runs the hooks one after the other, without blocking. It is called once; wait waits for the end.
func (d *drainHooks) start() {
	d.done = make(chan struct{})
	go func() {
		defer close(d.done)
		ctx, cancel := context.WithTimeout(context.Background(), handBackTimeout)
		defer cancel()
		for _, run := range d.hooks {
			run(ctx)
		}
	}()
}

// wait blocks until all hooks have ended. It returns an error when ctx ends first.
func (d *drainHooks) wait(ctx context.Context) error {
	if d.done == nil {
		return nil
	}
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hand back messages that no call was made for: %w", ctx.Err())
	}
}

// awaitDrainHooks waits for the hooks when workers have ended, before anything that the hooks use is closed.
func awaitDrainHooks(lc fx.Lifecycle, hooks *drainHooks) { lc.Append(fx.StopHook(hooks.wait)) }
