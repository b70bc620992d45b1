package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

// Bounds of one pipeline: Redis works it off before others get their turn, and nobody should wait long for the rest.
const (
	maxGroupOps   = 512
	maxGroupBytes = 8 << 20
)

// op is one script to run, on its way through a committer.
type op struct {
	shard *shard
	call  script.Call
	bytes int // of the large ones among the arguments

	vain      atomic.Bool // nobody waits for it any more
	forgotten bool        // Redis does not know the script

	answer script.Answer
	err    error         // as ports have it; read after done, like the answer
	done   chan struct{} // closed when there is an answer
}

func newOp(s *shard, bytes int, call script.Call) *op {
	return &op{shard: s, call: call, bytes: bytes, done: make(chan struct{})}
}

// committer runs scripts for many callers in shared round trips: while one pipeline is under way the next gathers. Each
// script is a step of its own, and has its own error. Shards that fail alone have pipelines of their own.
type committer struct {
	db     *DB
	queues map[*shard]chan *op
}

func newCommitter(db *DB) *committer {
	c := &committer{db: db, queues: make(map[*shard]chan *op)}
	for _, shards := range db.apart() {
		queue := make(chan *op, maxGroupOps)
		for _, s := range shards {
			c.queues[s] = queue
		}
	}
	return c
}

// do runs the scripts and returns when all have an answer. When ctx ends first, or replyTimeout is over, they may still
// be run, and have no answer; then it returns an error, which is that of all without one.
func (c *committer) do(ctx context.Context, ops []*op) error {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	defer func() {
		for _, o := range ops {
			o.vain.Store(true)
		}
	}()
	for _, o := range ops {
		if err := c.send(ctx, o); err != nil {
			return err
		}
	}
	for _, o := range ops {
		select {
		case <-o.done:
		case <-ctx.Done():
			return unconfirmed(ctx)
		}
	}
	return nil
}

func (c *committer) send(ctx context.Context, o *op) error {
	select {
	case c.queues[o.shard] <- o:
		return nil
	case <-ctx.Done():
		return unconfirmed(ctx)
	}
}

// one runs a single script.
func (c *committer) one(ctx context.Context, o *op) (script.Answer, error) {
	if err := c.do(ctx, []*op{o}); err != nil {
		return nil, err
	}
	return o.answer, o.err
}

// run commits until the database is closed, when nobody waits for an answer any more.
func (c *committer) run() {
	var serving sync.WaitGroup
	for _, shards := range c.db.apart() {
		serving.Go(func() { c.serve(c.queues[shards[0]]) })
	}
	serving.Wait()
}

func (c *committer) serve(queue <-chan *op) {
	for {
		select {
		case o := <-queue:
			if ops := gather(o, queue); len(ops) > 0 {
				c.commit(ops)
			}
		case <-c.db.idle:
			return
		}
	}
}

// gather takes what waits, within the bounds of a pipeline, without what nobody wants any more.
func gather(first *op, queue <-chan *op) []*op {
	var ops []*op
	bytes := 0
	for o := first; ; {
		if !o.vain.Load() {
			ops, bytes = append(ops, o), bytes+o.bytes
		}
		if len(ops) == maxGroupOps || bytes >= maxGroupBytes {
			return ops
		}
		select {
		case o = <-queue:
		default:
			return ops
		}
	}
}

// commit runs the scripts and answers the callers. What a caller waits for is done, also during Close, but not after
// the caller has given up.
func (c *committer) commit(ops []*op) {
	lasting := context.WithoutCancel(c.db.ctx)
	ctx, cancel := context.WithTimeout(lasting, replyTimeout)
	defer cancel()
	c.pipeline(ctx, ops)
	if again := forgotten(ops); len(again) > 0 {
		c.pipeline(ctx, again)
	}
	failures := 0
	var failure error
	for _, o := range ops {
		if o.err = translate(o.err); o.err != nil {
			failures, failure = failures+1, o.err
		}
		close(o.done)
	}
	if failures == 0 || failures == len(ops) {
		c.db.report(lasting, failure)
	}
	if errors.Is(failure, ports.ErrUnavailable) {
		c.db.relearn()
	}
}

// forgotten lists the scripts that Redis did not know: they were not run. Now each is sent with its source, to where it
// runs: to load them everywhere would need all nodes of a Cluster.
func forgotten(ops []*op) []*op {
	var again []*op
	for _, o := range ops {
		if unknown(o.err) {
			o.forgotten = true
			again = append(again, o)
		}
	}
	return again
}

// pipeline runs the scripts in one round trip, or in one for each shard when replicas are to confirm.
func (c *committer) pipeline(ctx context.Context, ops []*op) {
	if c.db.opts.WaitReplicas == 0 {
		send(ctx, c.db.client.Pipeline(), ops)
		return
	}
	byShard := make(map[*shard][]*op)
	for _, o := range ops {
		byShard[o.shard] = append(byShard[o.shard], o)
	}
	var sending sync.WaitGroup
	for s, ops := range byShard {
		sending.Go(func() { c.confirmed(ctx, s, ops) })
	}
	sending.Wait()
}

// send runs the scripts in one round trip, with what else is in the pipeline after them.
func send(ctx context.Context, pipe redis.Pipeliner, ops []*op, after ...func(redis.Pipeliner)) {
	commands := make([]*redis.Cmd, len(ops))
	for i, o := range ops {
		if o.forgotten {
			commands[i] = pipe.Eval(ctx, o.call.Source(), []string{o.shard.key}, o.call.Args...)
		} else {
			commands[i] = pipe.EvalSha(ctx, o.call.SHA(), []string{o.shard.key}, o.call.Args...)
		}
	}
	for _, add := range after {
		add(pipe)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, o := range ops {
		o.answer, o.err = commands[i].Slice()
	}
}

// replicaTimeout bounds how long replicas may take to confirm.
const replicaTimeout = time.Second

// confirmed runs the scripts of one shard and waits for its replicas, on one connection: WAIT is about what that has
// written. What too few replicas have confirmed is not confirmed at all.
func (c *committer) confirmed(ctx context.Context, s *shard, ops []*op) {
	node, err := c.db.master(ctx, s)
	if err != nil {
		fail(ops, err)
		return
	}
	var replicas *redis.Cmd
	send(ctx, node.Pipeline(), ops, func(pipe redis.Pipeliner) {
		replicas = pipe.Do(ctx, "WAIT", c.db.opts.WaitReplicas, replicaTimeout.Milliseconds())
	})
	n, err := replicas.Int64()
	if err == nil && n < int64(c.db.opts.WaitReplicas) {
		err = fmt.Errorf("%d of %d replicas have confirmed", n, c.db.opts.WaitReplicas)
	}
	fail(ops, err)
}

// fail gives an error to those that have none.
func fail(ops []*op, err error) {
	for _, o := range ops {
		if o.err == nil {
			o.err = err
		}
	}
}

// master gives the client of the node that had the shard when the nodes were last asked. That the shard has moved
// since, or the node is gone, is an error, after which commit has them asked again.
func (db *DB) master(ctx context.Context, s *shard) (redis.Cmdable, error) {
	cluster, ok := db.client.(*redis.ClusterClient)
	if !ok {
		return db.client, nil
	}
	return cluster.MasterForKey(ctx, s.key)
}
