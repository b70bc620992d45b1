package bootstrap

import (
	"context"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/embedded"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func embeddedModule() fx.Option {
	return fx.Module("embedded", fx.Provide(
		openEmbedded,
		func(lc fx.Lifecycle, db *embedded.DB) ports.Work { return consume(lc, db.NewConsumer) },
		func(db *embedded.DB) (ports.Intake, ports.Results, ports.Gauge) { return db, db, db },
		func(db *embedded.DB) ports.DeadLetters { return db.DeadLetters() },
		func(db *embedded.DB, config configs.Config) ports.Backups {
			if config.Embedded.BackupDir == "" {
				return nil
			}
			return db.Backups(config.Embedded.BackupDir)
		},
		func(db *embedded.DB) probes {
			return probes{Probes: []probe{{"queue", db}, {"store", db}, {"disk", db.Disk()}}}
		},
	))
}

// openEmbedded opens the database at once rather than in a start hook, because the constructors that use it need it.
func openEmbedded(
	lc fx.Lifecycle, config configs.Config, memory memoryBudgets, observer ports.Observer, log *Log,
	s *supervisor, files descriptors,
) (*embedded.DB, error) {
	db, err := embedded.Open(embedded.Options{
		Dir:           config.Embedded.Dir,
		MinFree:       uint64(config.Embedded.MinFree),
		MaxResponse:   int64(config.Proxy.MaxResponseSize),
		CacheBytes:    memory.Cache,
		MemTableBytes: uint64(memory.MemTable),
		MaxDepth:      int64(config.Queue.MaxDepth),
		Lease:         config.Queue.Lease,
		TTL:           config.Store.TTL,
		DeadLetterTTL: config.Store.DeadLetterTTL,
		Now:           time.Now,
		Ended:         observer.Ended,
		Logger:        log.Logger,
		Exit:          log.Exit,
		MaxOpenFiles:  files.database,
		Repair:        config.Embedded.Repair,
	})
	if err != nil {
		return nil, err
	}
	watch := s.start("embedded database", func(ctx context.Context) error {
		select {
		case <-db.Done():
			return db.Err()
		case <-ctx.Done():
			return nil
		}
	})
	lc.Append(fx.StopHook(func(ctx context.Context) error {
		if err := watch.end(ctx); err != nil {
			return err
		}
		return db.Close()
	}))
	return db, nil
}
