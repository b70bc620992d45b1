package bootstrap

import (
	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// roles has a line for every role. A role is a list of things to run. What they need is built because they need it, so
// a process never joins in what its role does not do.
var roles = map[string]func() fx.Option{
	configs.RoleAll:    working,
	configs.RoleAPI:    func() fx.Option { return fx.Options(fx.Provide(newUncalled), running()) },
	configs.RoleWorker: working,
}

func working() fx.Option {
	return fx.Options(workersModule(), running(runWorkers))
}

// running starts the parts of the process in this order, and stops them in the reverse one. The listener is there
// before anything that needs the queue, whose opening may have to wait for a broker; so a port that is taken fails the
// start before any work is fetched. It stops before the workers, and both before what hands back and publishes what
// they leave.
func running(workers ...any) fx.Option {
	parts := []any{listen, runRotations, watchNotices, runBackground, awaitDrainHooks}
	parts = append(parts, workers...)
	return fx.Invoke(append(parts, serveHTTP, runReloads)...)
}

// workersModule is part of roles that call backends. It adds the component "worker" to /health.
func workersModule() fx.Option {
	return fx.Provide(
		newCaller,
		newCalled,
		newPool,
		sharePauses,
		func(pool *worker.Pool) *workers { return &workers{pool: pool} },
		func(pool *worker.Pool) probes { return probes{Probes: []probe{{"worker", pool}}} },
	)
}

// commonModule is what every role may need.
func commonModule() fx.Option {
	return fx.Module("common", fx.Provide(
		newMemoryBudgets,
		newIdleMemory,
		newMetrics,
		newPseudonym,
		newRotations,
		newOpening,
		newBrokers,
		newSubmit,
		newPoll,
		newCancel,
		newResend,
		newProcess,
		newGates,
		newServer,
		logProbes,
		newDescriptors,
		newShortage,
		newDrainHooks,
		fx.Annotate(telemetry.NewObserver, fx.As(new(ports.Observer))),
	))
}
