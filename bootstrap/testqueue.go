//go:build testqueue

package bootstrap

import (
	"log/slog"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/memorycarrier"
)

// The test build has one more queue: a carrier in the memory of one process. See "Write a backend" in ports/README.md.
func init() { queues["memory"] = memoryModule } //nolint:gochecknoinits // the table is whole without it

func memoryModule() fx.Option {
	return fx.Module("memory", fx.Provide(joinMemory), pairedModule())
}

// joinMemory makes the broker too: nobody else could reach it.
func joinMemory(lc fx.Lifecycle, config configs.Config, logger *slog.Logger) ports.Carrier {
	broker := memorycarrier.New(memorycarrier.Options{MaxMessage: largestMessage(config), Logger: logger})
	carrier := broker.Join(config.Queue.Requests)
	lc.Append(fx.StopHook(carrier.Close))
	return carrier
}
