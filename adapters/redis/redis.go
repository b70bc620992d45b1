// Package redis keeps queue and store in Redis, for any number of processes on any number of machines. Each of them may
// die at any time.
//
// Whatever happens to a request is one Lua script, and so one step: see internal/script, whose prelude.lua lists the
// keys. What many callers want at once shares a round trip (group commit without a timer). Delays, leases and deadlines
// go by the clock of Redis.
//
// It needs Redis 7.0; the form of the URL chooses Sentinel or Cluster. The keys of a shard have one hash tag, and a
// request has all of its keys in one shard. While the slot of a shard is being moved to another node, its scripts are
// refused and do nothing.
//
// Where to begin reading: accept.go and finish.go, then internal/script/lua/prelude.lua. Of the inner packages script
// holds the Lua and how it is called, codec the values in Redis, server the connection, shards, outages and the
// Committer, and streams what other programs read and write.
//
// README.md beside this file is for whoever runs it. It has the least permissions that a user of Redis needs, which
// tests hold it to.
package redis

import (
	"cmp"
	"context"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/adapters/redis/internal/streams"
	"github.com/openhqm/openhqm/ports"
)

// DB is an open connection to queue and store. It hands out the parts, and has their methods: it implements
// ports.Intake, ports.ForeignIntake and ports.Outcomes by Requests, ports.Store by CarrierStore and Requests,
// ports.Losses by Losses, ports.Pauses by Pauses, ports.Results and ports.Gauge by Records, ports.Movable by Moves,
// ports.Probe and
// ports.Detailed by Health. Streams has the streams for other programs, and the outboxes. NewConsumer and DeadLetters
// return the parts that are made for each caller.
type DB struct {
	*Requests
	*CarrierStore
	*Losses
	*Pauses
	*Records
	*Moves
	*server.Health
	*streams.Streams

	opts     *Options
	server   *server.Server
	intake   *server.Committer // of what is accepted
	outcomes *server.Committer // of what ends: it does not wait behind what is accepted
	sweeper  *sweeper
	news     *news
	presence *presence
}

var (
	_ ports.Store     = (*DB)(nil)
	_ ports.Exchanger = (*DB)(nil)
)

// usualOutboxPoll is how late a process may find a notice that another one left behind; see ports.Outbox.
const usualOutboxPoll = time.Second

// Open connects, makes sure that Redis can be used, and begins to serve. When Redis is away, refuses us or is too old,
// Open returns an error within 10 s, which names the server but never a password. Settings that may lose requests after
// a 202 are logged as a warning.
func Open(ctx context.Context, opts Options) (*DB, error) {
	srv, err := server.Open(ctx, server.Options{
		URL: opts.URL, TLS: opts.TLS, Access: opts.Access, Connections: opts.Connections,
		Queue: opts.Queue, Shards: opts.Shards, WaitReplicas: opts.WaitReplicas,
		Handover: opts.Handover, HandoverOutbox: opts.handsOverElsewhere(), Now: opts.Now, Logger: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	health, news, pauses := server.NewHealth(srv), newNews(opts.Ended), newPauses(srv)
	db := &DB{
		Health: health, Pauses: pauses, opts: &opts, server: srv, news: news,
		intake: server.NewCommitter(srv), outcomes: server.NewCommitter(srv),
		sweeper: newSweeper(&opts, srv, health, news, pauses),
	}
	db.Requests = &Requests{
		opts: db.opts, server: srv, intake: db.intake, outcomes: db.outcomes, sweeper: db.sweeper, news: news,
	}
	db.CarrierStore = &CarrierStore{server: srv, intake: db.intake, sweeper: db.sweeper, requests: db.Requests}
	db.Losses = &Losses{opts: db.opts, server: srv, news: news, name: server.ConsumerName()}
	db.Records = &Records{opts: db.opts, server: srv, sweeper: db.sweeper, waiters: newWaiters(srv)}
	db.presence = newPresence(srv)
	db.Moves = &Moves{opts: db.opts, server: srv, intake: db.intake, presence: db.presence}
	db.Streams = streams.New(srv, streams.Options{
		Queue: opts.Queue, Handover: opts.Handover, Lease: opts.Lease, Retention: opts.Retention,
		MostEntries: opts.MostEntries, Now: opts.Now,
		News:       streams.News{Final: news.final, Buried: news.buried, Ready: news.ready},
		OutboxPoll: cmp.Or(opts.outboxPoll, usualOutboxPoll),
	})
	health.Inspect(ctx)
	srv.Go(db.sweeper.run)
	return db, nil
}

// Now returns the present time by the clock of Redis, as records have it. On a Cluster it is that of one node.
func (db *DB) Now() time.Time { return db.server.Now() }

// ClockSkew returns by how much the clock of Redis was ahead of the clock of this process when it was last measured,
// about a second ago. On a Cluster it is the largest difference.
func (db *DB) ClockSkew() time.Duration { return db.server.Skew() }

// DeadLetters returns the dead letters of the queue.
func (db *DB) DeadLetters() DeadLetters { return DeadLetters{db.server} }

// NewConsumer returns a consumer that lives until ctx ends. Then it receives nothing more, its leases end, and what it
// held is handed to other consumers. The returned function waits for the goroutine that extends the leases, which also
// ends when the database is closed.
func (db *DB) NewConsumer(ctx context.Context) (c *Consumer, wait func()) {
	c = &Consumer{
		opts: db.opts, server: db.server, intake: db.intake, outcomes: db.outcomes, sweeper: db.sweeper, news: db.news,
		name: server.ConsumerName(), life: ctx, leases: newLeases(db.server, db.opts.Lease),
		repeats: repeats{byToken: make(map[string]string)}, turns: make([]int64, len(db.server.Shards)),
		returned: make([]bool, len(db.server.Shards)),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.leases.keep(ctx)
	}()
	return c, func() { <-stopped }
}

// Close ends everything that waits with ports.ErrClosed, lets calls under way end, and closes the connections. It
// blocks until that is done. Called again it does nothing.
func (db *DB) Close() error {
	db.presence.leave()
	return db.server.Close()
}
