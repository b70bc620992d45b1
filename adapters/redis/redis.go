// Package redis keeps queue and store on Redis Streams, for any number of processes on any number of machines. Each of
// them may die at any time.
//
// Whatever happens to a request is one Lua script, and so one step: the scripts are in the folder lua, and the first of
// them, common.lua, says which keys there are. What many callers want at once shares a round trip (group commit without
// a timer). The clock that delays, leases and deadlines go by is that of Redis.
//
// Base line is Redis 7.0; Sentinel and Cluster are told by the form of the URL. The keys of a shard have one hash tag,
// and a request has all of its keys in one shard. While the slot of a shard is being moved to another node, its scripts
// are refused and do nothing.
//
// README.md beside this file is for whoever runs it. It has the least permissions that a user of Redis needs, which
// tests hold it to.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Options of a connection. All durations and limits come from the configuration; there are no defaults here.
type Options struct {
	URL           string        // in one of the forms of go-redis; see connect
	TLS           *tls.Config   // of a rediss:// URL, whose host is the ServerName unless one is set; nil: go-redis's own
	Access        *Access       // user, password and TLS of new connections, renewable; nil: those of URL and TLS
	Queue         string        // the name that all keys begin with, after "{"; without braces and slashes
	Shards        int           // at least 1; the same in all processes that share the queue
	WaitReplicas  int           // that must confirm what is accepted or finished; 0: none
	MaxDepth      int64         // unfinished requests; 0: no limit. Each shard holds its part of it
	Lease         time.Duration // of a delivery whose consumer is gone
	TTL           time.Duration // of a record from its final state on
	DeadLetterTTL time.Duration
	Now           func() time.Time
	Ended         func(domain.Record) // told of what this process made final; nil: nobody; must not block
	Logger        *slog.Logger

	// Handover: ready requests are for workers of other programs. They are messages in the plain stream that has the
	// queue's name or, with HandoverOutbox, in an outbox on their way to another broker; Conclude saves their results. The
	// same in all processes that share the queue, and with that stream with one shard only.
	Handover       bool
	HandoverOutbox bool

	Retention time.Duration // of entries in the streams of Outlet, and of what is still owed: hours at least
}

// DB is a connection to queue and store. It implements ports.Intake, ports.Results, ports.Gauge, ports.Probe and
// ports.Detailed, for queues of other brokers ports.Store, and for messages of other programs ports.ForeignIntake and
// ports.Outcomes; consumers made by NewConsumer implement ports.Work, DeadLetters returns ports.DeadLetters, Outbox
// ports.Outbox, and Inlet and Outlet are streams for other programs.
type DB struct {
	opts     Options
	client   redis.UniversalClient
	blocking redis.UniversalClient // for commands that block: nothing else waits for their connections
	shards   []*shard
	scripts  *scripts
	absence  *absence

	intake   *committer
	outcomes *committer
	sweeper  *sweeper
	waiters  *waiters
	details  atomic.Pointer[map[string]string]
	rejected struct { // messages that cannot be read
		sync.Mutex
		outage.Rarely
	}
	// Rung when this process made something final, a dead letter or ready, of which there may be a notice.
	ended, buried, ready chan struct{}
	full                 atomic.Bool // the last probe found no memory to write to

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	idle   chan struct{}  // closed by Close when no call is under way any more
	loops  sync.WaitGroup // the long-running goroutines
	once   sync.Once
	calls  sync.RWMutex // held for reading by calls under way, which Close lets end
	closed bool         // guarded by calls
}

var (
	_ ports.Intake   = (*DB)(nil)
	_ ports.Results  = (*DB)(nil)
	_ ports.Gauge    = (*DB)(nil)
	_ ports.Probe    = (*DB)(nil)
	_ ports.Detailed = (*DB)(nil)
)

// openTimeout bounds Open.
const openTimeout = 8 * time.Second

// Open connects, makes sure that Redis can be used, and begins to serve. When Redis is away, refuses us or is too old,
// that is an error within 10 s; it names the server but never a password. What would make a 202 promise too much is
// logged as a warning.
func Open(ctx context.Context, opts Options) (*DB, error) {
	if opts.Queue == "" || strings.ContainsAny(opts.Queue, "{}"+tagSeparator) {
		return nil, errors.New("queue.requests must be a name without braces and slashes")
	}
	if opts.Handover && !opts.HandoverOutbox && opts.Shards > 1 {
		return nil, errors.New("redis.shards must be 1 when requests are for other consumers: they read one stream")
	}
	client, blocking, err := connect(opts.URL, opts.TLS, opts.Access)
	if err != nil {
		return nil, err
	}
	db := newDB(opts, client, blocking)
	starting, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := db.prepare(starting); err != nil {
		db.cancel()
		return nil, errors.Join(fmt.Errorf("open redis at %s: %w", address(opts.URL), err), db.closeClients())
	}
	db.inspect(starting)
	db.loops.Go(db.intake.run)
	db.loops.Go(db.outcomes.run)
	db.loops.Go(db.sweeper.run)
	return db, nil
}

func newDB(opts Options, client, blocking redis.UniversalClient) *DB {
	db := &DB{opts: opts, client: client, blocking: blocking, scripts: newScripts(), idle: make(chan struct{})}
	db.ended, db.buried, db.ready = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	db.ctx, db.cancel = context.WithCancel(context.Background())
	db.absence = &absence{Log: outage.Log{Name: "redis", Logger: opts.Logger, Now: opts.Now}}
	db.shards = newShards(opts.Queue, opts.Shards)
	db.intake = newCommitter(db)
	db.outcomes = newCommitter(db)
	db.sweeper = newSweeper(db)
	db.waiters = newWaiters(db)
	return db
}

// prepare looks whether Redis is there, is new enough, and takes writes. That it does not is the error of Open, and no
// outage: nothing is tried again.
func (db *DB) prepare(ctx context.Context) error {
	if err := db.client.Ping(ctx).Err(); err != nil {
		return translate(err)
	}
	if err := db.requireVersion(ctx); err != nil {
		return err
	}
	if err := db.scripts.load(ctx, db.client); err != nil {
		return translate(err)
	}
	for _, s := range db.shards {
		if _, err := db.eval(ctx, s.key, db.scripts.rehearse); err != nil {
			return translate(err)
		}
	}
	return db.requireShards(ctx)
}

// Close ends everything that waits with ports.ErrClosed, lets calls under way end, and closes the connections. It
// blocks until that is done; again it does nothing.
func (db *DB) Close() error {
	var err error
	db.once.Do(func() {
		db.cancel()
		db.calls.Lock()
		db.closed = true
		db.calls.Unlock()
		close(db.idle)
		err = db.closeClients()
		db.loops.Wait()
	})
	return err
}

func (db *DB) closeClients() error {
	return errors.Join(db.client.Close(), db.blocking.Close())
}

// enter begins a call that uses Redis, and leave ends it. It reports false when closed.
func (db *DB) enter() bool {
	if db.ctx.Err() != nil {
		return false // without waiting for those that Close lets end
	}
	db.calls.RLock()
	if db.closed {
		db.calls.RUnlock()
		return false
	}
	return true
}

func (db *DB) leave() { db.calls.RUnlock() }

// report takes note of how a call of Redis ended. What its caller or Close cut off says nothing about Redis.
func (db *DB) report(ctx context.Context, err error) {
	if ctx.Err() == nil && db.ctx.Err() == nil {
		db.absence.report(err)
	}
}
