package bootstrap

import (
	"context"
	"errors"

	"go.uber.org/fx"
)

// backgroundLoop is work of a queue besides accepting and handing out requests. Run blocks until its context ends.
type backgroundLoop struct {
	name string
	run  func(context.Context) error
}

// background is what a constructor returns to have loops run for as long as the process.
type background struct {
	fx.Out

	Loops []backgroundLoop `group:"background,flatten"`
}

// backgroundInput are the loops of all constructors.
type backgroundInput struct {
	fx.In

	Loops      []backgroundLoop `group:"background"`
	Supervisor *supervisor
}

// runBackground runs the loops. They stop after the workers, because they may have to publish the last outcomes.
func runBackground(lc fx.Lifecycle, in backgroundInput) {
	running := make([]*loop, 0, len(in.Loops))
	lc.Append(fx.StartStopHook(
		func() {
			for _, l := range in.Loops {
				running = append(running, in.Supervisor.start(l.name, l.run))
			}
		},
		func(ctx context.Context) error {
			for _, l := range running { // all at once: while a broker hangs, each of them takes its time
				l.stop()
			}
			var late error
			for _, l := range running {
				late = errors.Join(late, l.end(ctx))
			}
			return late
		},
	))
}
