package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openhqm/openhqm/tests/testkit"
)

// The roles of a process. A process that accepts requests and does no work is an api.
const (
	roleAll    = "all"
	roleAPI    = "api"
	roleWorker = "worker"
)

// The systems that do the whole work beside those on carriers: ours by the queue they use, and the other one.
const (
	embedded = "embedded"
	onRedis  = "redis"
	onAsynq  = "asynq"
)

// workers is how many calls each system makes at the same time: the default of worker.count.
const workers = 64

// system does the whole work: it accepts requests, keeps them, and works them off.
type system struct {
	name    string
	redis   bool                                                  // keeps them in Redis
	carrier *testkit.Carrier                                      // and has this one carry them; nil: none
	counted bool                                                  // what the carrier is asked for counts: it is billed
	start   func(role string, s *store) (*process, error)         // a process on a store
	drained func(ctx context.Context, p *process, s *store) error // waits until all that p's store had is worked off
}

// store is where the requests of one measurement are kept.
type store struct {
	dir    string
	name   string   // of the queue in the broker, which all stores of the run share
	redis  *process // nil for a system without it
	broker *process // likewise
	asked  *asked   // counts what the broker is asked for; nil: nobody does
	filled int      // requests that were put in
}

// open makes an empty store.
func (b *bench) open(sys *system) (*store, error) {
	name := b.nextName()
	s := &store{name: name, dir: filepath.Join(b.dir, name)}
	if !sys.redis {
		return s, nil
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if s.broker, err = b.startBroker(sys.carrier); err != nil {
		return nil, err
	}
	s.redis, err = b.startRedis(s.dir)
	return s, err
}

// nextName returns a name that nothing in the run has.
func (b *bench) nextName() string {
	b.serial++
	return "data-" + strconv.Itoa(b.serial)
}

// drop ends a store. The processes on it have ended.
func (s *store) drop() {
	if s.redis != nil {
		s.redis.kill()
	}
	s.asked.close()
	_ = os.RemoveAll(s.dir) // else it goes with the directory of the run
}

// queueNames lists the queues that can be measured.
func queueNames() []string {
	carriers := testkit.Carriers()
	names := make([]string, len(carriers))
	for i, carrier := range carriers {
		names[i] = carrier.Name
	}
	return append([]string{embedded, onRedis}, names...)
}

// carrierOf returns the carrier with a name; nil: there is none.
func carrierOf(name string) *testkit.Carrier {
	for _, carrier := range testkit.Carriers() {
		if carrier.Name == name {
			return &carrier
		}
	}
	return nil
}

// systemOn returns the program on a queue; nil: there is no such queue.
func (b *bench) systemOn(queue string) *system {
	carrier := carrierOf(queue)
	switch {
	case queue == embedded:
		return &system{name: queue, start: b.startEmbedded, drained: drained}
	case queue == onRedis:
		return &system{name: queue, start: b.startOnRedis, drained: drained, redis: true}
	case carrier != nil:
		start := func(role string, s *store) (*process, error) { return b.startOnCarrier(carrier, role, s) }
		return &system{
			name: queue, start: start, drained: drained, redis: true, carrier: carrier, counted: queue == billed,
		}
	default:
		return nil
	}
}

// systems finds out what can be measured, and prepares what it needs.
func (b *bench) systems() ([]*system, error) {
	queues := strings.Split(b.queues, ",")
	if b.queues == "" {
		queues = queueNames()
	}
	var systems []*system
	for _, name := range queues {
		sys := b.systemOn(name)
		if sys == nil {
			return nil, fmt.Errorf("there is no queue %q", name)
		}
		if err := b.needs(sys); err != nil && b.queues != "" {
			return nil, err
		} else if err != nil {
			fmt.Fprintf(os.Stderr, "bench: without %s: %v\n", name, err)
			continue
		}
		systems = append(systems, sys)
	}
	if !b.asynq || !slices.ContainsFunc(systems, func(sys *system) bool { return sys.redis }) {
		return systems, nil
	}
	if err := b.buildAsynq(); err != nil {
		return nil, fmt.Errorf("build hibiken/asynq (-asynq=false goes without it): %w", err)
	}
	return append(systems, &system{name: onAsynq, start: b.startAsynq, drained: b.completed, redis: true}), nil
}

// needs gets the servers that a system needs.
func (b *bench) needs(sys *system) error {
	if !sys.redis {
		return nil
	}
	err := b.need("redis-server")
	if sys.carrier != nil {
		err = errors.Join(err, b.need(sys.carrier.Program))
	}
	return err
}

// need gets the path of a server, unless it is known.
func (b *bench) need(server string) error {
	if b.servers[server] != "" {
		return nil
	}
	text, err := b.output("scripts/brokers/ensure", server)
	b.servers[server] = strings.TrimSpace(text)
	return err
}

func (b *bench) buildAsynq() error {
	b.asynqBinary = filepath.Join(b.dir, "asynq")
	_, err := b.output("go", "build", "-C", "tests/bench/asynq", "-o", b.asynqBinary, ".")
	return err
}

// output runs a program to its end, and returns what it prints.
func (b *bench) output(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Minute) // the first time it may have to download
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", program, err, stderr.String())
	}
	return string(out), err
}

// startEmbedded starts the program on the embedded queue, which needs role all: an api is one whose work hangs.
func (b *bench) startEmbedded(role string, s *store) (*process, error) {
	count, path := workers, "/"
	if role == roleAPI {
		count, path = 1, "/hang"
	}
	return b.startGateway(roleAll, count, path, fmt.Sprintf("embedded: {dir: %s}", s.dir))
}

func (b *bench) startOnRedis(role string, s *store) (*process, error) {
	queue := fmt.Sprintf("queue: {type: redis}\nredis: {url: 'redis://%s'}", s.redis.address)
	return b.startGateway(role, workers, "/", queue)
}

func (b *bench) startOnCarrier(carrier *testkit.Carrier, role string, s *store) (*process, error) {
	queue := fmt.Sprintf("redis: {url: 'redis://%s'}", s.redis.address)
	return b.startGateway(role, workers, "/", queue, carrier.Variables(s.broker.address, s.name)...)
}

// startGateway starts the measured program with a configuration of its queue and its work, and further variables.
func (b *bench) startGateway(role string, count int, path, queue string, variables ...string) (*process, error) {
	b.serial++
	file := filepath.Join(b.dir, fmt.Sprintf("config-%d.yaml", b.serial))
	text := fmt.Sprintf("server: {host: 127.0.0.1, port: 0}\nworker: {count: %d, drain: 5s}\n"+
		"proxy: {default_endpoint: b, endpoints: {b: {url: 'http://%s%s'}}}\n%s\n", count, b.backend.address, path, queue)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(b.ctx, binary, "--config", file, "--role", role)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), variables...)
	return b.start(cmd)
}

func (b *bench) startAsynq(role string, s *store) (*process, error) {
	return b.start(exec.CommandContext(b.ctx, b.asynqBinary, "-role", role, "-redis", s.redis.address,
		"-backend", "http://"+b.backend.address+"/", "-workers", strconv.Itoa(workers)))
}

// drained waits until nothing is unfinished.
func drained(ctx context.Context, p *process, _ *store) error {
	return until(ctx, func() (bool, error) {
		n, err := depth(ctx, p.address)
		return n == 0, err
	})
}

// completed waits until asynq has as many completed tasks as were put in: that is where it keeps results.
func (b *bench) completed(ctx context.Context, _ *process, s *store) error {
	return until(ctx, func() (bool, error) {
		text, err := ask(ctx, s.redis.address, "ZCARD asynq:{default}:completed")
		if err != nil {
			return false, err
		}
		n, err := strconv.Atoi(text)
		if n > s.filled {
			err = errors.Join(err, fmt.Errorf("%d tasks of %d are completed", n, s.filled))
		}
		return n == s.filled, err
	})
}

// until asks again and again, but not so often that asking costs CPU time that is being counted.
func until(ctx context.Context, done func() (bool, error)) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
