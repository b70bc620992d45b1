package server

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

// Bounds of one pipeline: Redis finishes it before it serves other clients, and nobody should wait long for the rest.
const (
	maxGroupOps = 512

	// MaxGroupBytes bounds what one round trip writes or reads, but for one value that alone is larger.
	MaxGroupBytes = 8 << 20
)

// Op is one script to run in a shard, on its way through a Committer.
type Op struct {
	shard *Shard
	call  script.Call
	bytes int // of the large ones among the arguments

	abandoned atomic.Bool // nobody waits for it any more
	forgotten bool        // Redis does not know the script

	answer script.Answer
	err    error         // as ports have it; read after done, like the answer
	done   chan struct{} // closed when there is an answer
}

// NewOp returns an Op. Bytes is the size of the large arguments, which bounds a round trip.
func NewOp(s *Shard, bytes int, call script.Call) *Op {
	return &Op{shard: s, call: call, bytes: bytes, done: make(chan struct{})}
}

// Result is what became of an Op: an answer, or an error as ports have it.
type Result struct {
	Answer script.Answer
	Err    error
}

// Committer runs scripts for many callers in shared round trips: while one pipeline is under way the next one gathers.
// Each script is a step of its own, and has its own error. Shards that fail independently have pipelines of their own.
type Committer struct {
	server *Server
	queues map[*Shard]chan *Op
}

// NewCommitter returns a Committer that runs until the server is closed and nobody waits for an answer any more.
func NewCommitter(s *Server) *Committer {
	c := newCommitter(s)
	for _, shards := range s.Apart() {
		s.Go(func() { c.serve(c.queues[shards[0]]) })
	}
	return c
}

func newCommitter(s *Server) *Committer {
	c := &Committer{server: s, queues: make(map[*Shard]chan *Op)}
	for _, shards := range s.Apart() {
		queue := make(chan *Op, maxGroupOps)
		for _, shard := range shards {
			c.queues[shard] = queue
		}
	}
	return c
}

// Do runs the scripts and returns when all have an answer; the results are aligned. When ctx ends first, or
// ReplyTimeout has passed, those without an answer have an error: they may still be run.
func (c *Committer) Do(ctx context.Context, ops ...*Op) []Result {
	unanswered := c.wait(ctx, ops)
	results := make([]Result, len(ops))
	for i, o := range ops {
		select {
		case <-o.done:
			results[i] = Result{o.answer, o.err}
		default:
			o.abandoned.Store(true)
			results[i] = Result{Err: unanswered}
		}
	}
	return results
}

// wait returns when the scripts have an answer, or the error of those that have none.
func (c *Committer) wait(ctx context.Context, ops []*Op) error {
	ctx, cancel := context.WithTimeout(ctx, ReplyTimeout)
	defer cancel()
	for _, o := range ops {
		select {
		case c.queues[o.shard] <- o:
		case <-ctx.Done():
			return Unconfirmed(ctx)
		}
	}
	for _, o := range ops {
		select {
		case <-o.done:
		case <-ctx.Done():
			return Unconfirmed(ctx)
		}
	}
	return nil
}

// Found is the result of a search.
type Found struct {
	Result

	Shard *Shard // whose answer it is
}

// Search runs a script for each of the places, which are lists of shards: in one shard after the other, until the
// answer is not "missing". Last is for the script in the last of the shards. The results are aligned with places.
func (c *Committer) Search(
	ctx context.Context, places [][]*Shard, op func(i int, s *Shard, last bool) *Op,
) []Found {
	found := make([]Found, len(places))
	left := make([]int, len(places))
	for i := range places {
		left[i] = i
	}
	for step := 0; len(left) > 0; step++ {
		ops := make([]*Op, len(left))
		for n, i := range left {
			ops[n] = op(i, places[i][step], step == len(places[i])-1)
		}
		var missing []int
		for n, result := range c.Do(ctx, ops...) {
			i := left[n]
			found[i] = Found{result, places[i][step]}
			if result.Err == nil && result.Answer.Word() == "missing" && step < len(places[i])-1 {
				missing = append(missing, i)
			}
		}
		left = missing
	}
	return found
}

func (c *Committer) serve(queue <-chan *Op) {
	for {
		select {
		case o := <-queue:
			if ops := gather(o, queue); len(ops) > 0 {
				c.commit(ops)
			}
		case <-c.server.idle:
			return
		}
	}
}

// gather returns what waits, within the bounds of a pipeline, without what nobody waits for any more.
func gather(first *Op, queue <-chan *Op) []*Op {
	var ops []*Op
	bytes := 0
	for o := first; ; {
		if !o.abandoned.Load() {
			ops, bytes = append(ops, o), bytes+o.bytes
		}
		if len(ops) == maxGroupOps || bytes >= MaxGroupBytes {
			return ops
		}
		select {
		case o = <-queue:
		default:
			return ops
		}
	}
}

// commit runs the scripts and answers the callers. What a caller waits for is done, also during Close.
func (c *Committer) commit(ops []*Op) {
	lasting := context.WithoutCancel(c.server.ctx)
	ctx, cancel := context.WithTimeout(lasting, ReplyTimeout)
	defer cancel()
	c.pipeline(ctx, ops)
	if again := forgotten(ops); len(again) > 0 {
		c.pipeline(ctx, again)
	}
	failures := 0
	var last error
	for _, o := range ops {
		if o.err = failure(o.shard, o.call, o.err); o.err != nil {
			failures, last = failures+1, o.err
		}
		close(o.done)
	}
	if failures == 0 || failures == len(ops) || partial(last) {
		c.server.Report(lasting, last)
	}
	if errors.Is(last, ports.ErrUnavailable) {
		c.server.Relearn()
	}
}

// forgotten lists the scripts that Redis did not know: they were not run. Now each is sent with its source, to where it
// runs: to load them everywhere would need all nodes of a Cluster.
func forgotten(ops []*Op) []*Op {
	var again []*Op
	for _, o := range ops {
		if unknown(o.err) {
			o.forgotten = true
			again = append(again, o)
		}
	}
	return again
}

// pipeline runs the scripts in one round trip, or in one for each shard when replicas are to confirm.
func (c *Committer) pipeline(ctx context.Context, ops []*Op) {
	if c.server.opts.WaitReplicas == 0 {
		send(ctx, c.server.Client.Pipeline(), ops)
		return
	}
	byShard := make(map[*Shard][]*Op)
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
func send(ctx context.Context, pipe redis.Pipeliner, ops []*Op, after ...func(redis.Pipeliner)) {
	commands := make([]*redis.Cmd, len(ops))
	for i, o := range ops {
		if o.forgotten {
			commands[i] = pipe.Eval(ctx, o.call.Source(), []string{o.shard.Key}, o.call.Args...)
		} else {
			commands[i] = pipe.EvalSha(ctx, o.call.SHA(), []string{o.shard.Key}, o.call.Args...)
		}
	}
	for _, add := range after {
		add(pipe)
	}
	Exec(ctx, pipe)
	for i, o := range ops {
		o.answer, o.err = commands[i].Slice()
	}
}

// replicaTimeout bounds how long replicas may take to confirm.
const replicaTimeout = time.Second

// confirmed runs the scripts of one shard and waits for its replicas, on one connection: WAIT is about what that has
// written. What too few replicas have confirmed is not confirmed at all.
func (c *Committer) confirmed(ctx context.Context, s *Shard, ops []*Op) {
	node, err := c.server.master(ctx, s)
	if err != nil {
		fail(ops, err)
		return
	}
	var replicas *redis.Cmd
	send(ctx, node.Pipeline(), ops, func(pipe redis.Pipeliner) {
		replicas = pipe.Do(ctx, "WAIT", c.server.opts.WaitReplicas, replicaTimeout.Milliseconds())
	})
	n, err := replicas.Int64()
	if err == nil && n < int64(c.server.opts.WaitReplicas) {
		err = fmt.Errorf("%d of %d replicas have confirmed", n, c.server.opts.WaitReplicas)
	}
	fail(ops, err)
}

// fail sets the error of those that have none.
func fail(ops []*Op, err error) {
	for _, o := range ops {
		if o.err == nil {
			o.err = err
		}
	}
}

// master returns the client of the node that had the shard when the nodes were last asked. That the shard has moved
// since, or the node is gone, is an error, after which commit has them asked again.
func (s *Server) master(ctx context.Context, shard *Shard) (redis.Cmdable, error) {
	cluster, ok := s.Client.(*redis.ClusterClient)
	if !ok {
		return s.Client, nil
	}
	return cluster.MasterForKey(ctx, shard.Key)
}
