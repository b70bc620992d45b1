package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/embedded"
	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// movePatience is how long processes may take to be gone: what was killed seems to run for 15 s.
const movePatience = 20 * time.Second

// mostMoveSkew is how far the clock of a store may be off: times of records are moved as they are.
const mostMoveSkew = time.Second

// Moved says what a move did, or would do.
type Moved struct {
	application.MoveSum

	From, To string // the stores, without secrets
}

// Move moves all that is kept with one configuration to another. With dryRun it only counts, and opens only the source.
// It blocks until that is done or ctx ends.
func Move(ctx context.Context, from, to configs.Config, dryRun bool, logger *slog.Logger) (Moved, error) {
	silenceLibraries(logger)
	names, err := moveNames(from, to)
	if err != nil {
		return names, err
	}
	if err := checkMoved(from); err != nil {
		return names, err
	}
	source, err := openMoved(ctx, from, names.From, logger)
	if err != nil {
		return names, err
	}
	var target *moved
	if !dryRun {
		if target, err = openMoved(ctx, to, names.To, logger); err != nil {
			return names, errors.Join(err, source.close())
		}
	}
	names.MoveSum, err = source.moveTo(ctx, target, logger)
	if target != nil {
		err = errors.Join(err, target.close())
	}
	return names, errors.Join(err, source.close())
}

// moveNames names the stores of both configurations, and refuses what cannot be moved.
func moveNames(from, to configs.Config) (Moved, error) {
	var m Moved
	for _, side := range []struct {
		config configs.Config
		name   *string
	}{{from, &m.From}, {to, &m.To}} {
		_, carried := carriers[side.config.Queue.Type]
		if !carried && side.config.Queue.Type != configs.QueueEmbedded && side.config.Queue.Type != configs.QueueRedis {
			return m, side.config.Refuse("queue.type", "cannot be moved")
		}
		var err error
		if *side.name, err = storeName(side.config); err != nil {
			return m, err
		}
	}
	if from.Queue.Type == configs.QueueEmbedded && m.From == m.To {
		return m, to.Refuse("embedded.dir", "is the same in both configurations")
	}
	return m, nil
}

// storeName names a store for people, without secrets.
func storeName(config configs.Config) (string, error) {
	if config.Queue.Type == configs.QueueEmbedded {
		dir, err := filepath.Abs(config.Embedded.Dir)
		return "the directory " + dir, err
	}
	text, err := config.ResolveRedis()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("redis.url cannot be read") // what url.Parse says may repeat a password
	}
	database := strings.TrimSuffix(u.Path, "/0")
	return fmt.Sprintf("redis %s%s (queue.requests %s)", u.Host, database, config.Queue.Requests), nil
}

// moved is one of the two stores of a move, opened.
type moved struct {
	config configs.Config
	side   application.MoveSide
	db     *redis.DB // nil: it is embedded
	close  func() error
}

func openMoved(ctx context.Context, config configs.Config, name string, logger *slog.Logger) (*moved, error) {
	m := &moved{config: config, side: application.MoveSide{Name: name}}
	if config.Queue.Type == configs.QueueEmbedded {
		return m, m.openEmbedded(logger)
	}
	return m, m.openRedis(ctx, logger)
}

func (m *moved) openEmbedded(logger *slog.Logger) error {
	memory, err := newMemoryBudgets(m.config)
	if err != nil {
		return err
	}
	db, err := embedded.Open(embedded.Options{
		Dir:           m.config.Embedded.Dir,
		MinFree:       uint64(m.config.Embedded.MinFree),
		CacheBytes:    memory.Cache,
		MemTableBytes: uint64(memory.MemTable),
		Lease:         m.config.Queue.Lease,
		TTL:           m.config.Store.TTL,
		DeadLetterTTL: m.config.Store.DeadLetterTTL,
		Now:           time.Now,
		Logger:        logger,
		Repair:        m.config.Embedded.Repair,
		Moving:        true,
	})
	if err != nil {
		return err
	}
	m.side.Store, m.close = db.Moves(), db.Close
	return nil
}

// unobserved is for what a move ends because its deadline is over.
type unobserved struct{ ports.Observer }

func (unobserved) Ended(domain.Record) {}

func (m *moved) openRedis(ctx context.Context, logger *slog.Logger) error {
	options, err := redisOptions(m.config, newRotations(logger), unobserved{}, logger)
	if err != nil {
		return err
	}
	if err := options.Access.Renew(options.URL, options.TLS); err != nil {
		return err
	}
	_, carried := carriers[m.config.Queue.Type]
	options.Lease, options.MaxDepth = m.config.Lease(), 0
	options.Handover = m.config.Queue.HandsOver()
	options.HandoverOutbox = options.Handover && carried
	db, err := redis.Open(ctx, options)
	if err != nil {
		return err
	}
	m.db, m.side.Store, m.close = db, db, db.Close
	if skew := db.ClockSkew(); skew.Abs() >= mostMoveSkew {
		return errors.Join(fmt.Errorf("%w: the clock of %s is %s ahead of the clock here, and deadlines would be wrong; "+
			"run openhqm move where the clocks agree", ports.ErrNotMovable, m.side.Name, skew), db.Close())
	}
	return nil
}

// moveTo moves everything to the target; nil: it only counts.
func (m *moved) moveTo(ctx context.Context, target *moved, logger *slog.Logger) (application.MoveSum, error) {
	last := time.Now()
	seldom := func(log func()) {
		if now := time.Now(); now.Sub(last) >= time.Second {
			last = now
			log()
		}
	}
	options := application.MoveOptions{
		From: m.side, Patience: movePatience, NewMove: uuid.NewString,
		Progress: func(sum application.MoveSum) {
			seldom(func() { logger.Info("moving", "moved", sum.Total(), "left_in_place", sum.InUse) })
		},
	}
	if target == nil {
		return application.NewMove(options).Count(ctx)
	}
	options.To = target.side
	if target.db != nil {
		options.Adopt = func(ctx context.Context) error { return target.db.Adopt(ctx, target.config.Queue.Type) }
	}
	if m.db != nil {
		options.Ready = m.ready
	}
	if _, carried := carriers[m.config.Queue.Type]; carried && !m.config.Queue.HandsOver() {
		options.Drain = func(ctx context.Context) error {
			return m.drain(ctx, logger, func(kept int) {
				seldom(func() { logger.Info("reading what the broker still has", "messages", kept) })
			})
		}
	}
	return application.NewMove(options).Run(ctx)
}

// ready returns an error while other programs are involved in what is to be moved.
func (m *moved) ready(ctx context.Context) error {
	const remedy = "start the old configuration until that is done"
	if err := m.db.Adopt(ctx, m.config.Queue.Type); err != nil {
		return err // another carrier has requests of it: not this configuration is to be moved
	}
	owed, err := m.db.Owed(ctx)
	if err != nil {
		return err
	}
	if owed != "" {
		return fmt.Errorf("%w: %s; %s", ports.ErrNotMovable, owed, remedy)
	}
	if !m.config.Queue.HandsOver() {
		return nil
	}
	depths, err := m.db.Depths(ctx)
	if err != nil {
		return err
	}
	if n := depths.Ready + depths.Delayed + depths.Leased; n > 0 {
		return fmt.Errorf("%w: other programs (queue.results_in) work on %d requests; %s", ports.ErrNotMovable, n, remedy)
	}
	return nil
}

// drain brings into the store what the carrier has.
func (m *moved) drain(ctx context.Context, logger *slog.Logger, progress func(kept int)) (err error) {
	logger.Info("reading what the broker still has", "queue", m.config.Queue.Type)
	var carrier ports.Carrier
	waiting := &brokers{start: ctx, front: new(front), opening: newOpening(), logger: logger}
	app := fx.New(
		fx.Supply(waiting, m.config, logger), fx.Provide(newRotations), fx.NopLogger,
		carriers[m.config.Queue.Type](), fx.Populate(&carrier),
	)
	if err := app.Err(); err != nil {
		return dig.RootCause(err)
	}
	if err := app.Start(ctx); err != nil {
		return dig.RootCause(err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, app.Stop(ending))
	}()
	_, endpoints := newUncalled(m.config)
	err = paired.NewDrain(carrier, m.db, paired.DrainOptions{
		Reader: foreignReader(m.config, endpoints, logger),
		Losses: paired.LossOptions{
			Age: paired.SuspectAge, Every: paired.LookEvery, Logger: logger, Originals: m.config.Store.Originals,
		},
		Progress: progress,
	}).Run(ctx)
	carrier.Leave()
	return err
}

// checkMoved refuses to move a directory that does not exist.
func checkMoved(config configs.Config) error {
	if config.Queue.Type != configs.QueueEmbedded {
		return nil
	}
	if _, err := os.Stat(config.Embedded.Dir); err != nil {
		return config.Refuse("embedded.dir", "cannot be moved: "+err.Error())
	}
	return nil
}
