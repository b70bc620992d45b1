package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/openhqm/openhqm/tests/testkit"
)

// productionJVM undoes what scripts/brokers/ensure sets to make Java start fast, and then is what Kafka's own
// bin/kafka-run-class.sh and bin/kafka-server-start.sh set.
const productionJVM = "-XX:TieredStopAtLevel=4 -XX:-UseSerialGC -XX:+UseG1GC -XX:MaxGCPauseMillis=20 " +
	"-XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Xms1g -Xmx1g"

// startBroker returns the one broker of the run for a carrier; nil for none. There is one, because it is only fast once
// its Java has compiled what it uses most. Each store has topics or queues of its own.
func (b *bench) startBroker(carrier *testkit.Carrier) (*process, error) {
	if carrier == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	if p := b.brokers[carrier.Name]; p != nil {
		return p, nil
	}
	running, err := carrier.Run(testkit.RunOptions{
		Program: b.servers[carrier.Program], Dir: filepath.Join(b.dir, carrier.Name), JVM: b.jvm,
	})
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, running.Close)
	b.brokers[carrier.Name] = &process{pid: running.PID, address: running.Address}
	return b.brokers[carrier.Name], nil
}

// startServer runs a server on a port that is free when it is chosen, and may be taken before the server has it. It
// waits until it serves.
func (b *bench) startServer(
	command func(address string) (*exec.Cmd, error), serves func(ctx context.Context, address string) bool,
) (*process, error) {
	var fault error
	for range 5 {
		address, err := freeAddress(b.ctx)
		if err != nil {
			return nil, err
		}
		p := &process{address: address, done: make(chan struct{})}
		if p.cmd, err = command(address); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := p.cmd.Start(); err != nil {
			return nil, err
		}
		p.pid = p.cmd.Process.Pid
		b.running = append(b.running, p)
		go func() {
			defer close(p.done)
			_ = p.cmd.Wait() // that it ended is all there is to know
		}()
		if fault = p.await(b.ctx, serves); fault == nil {
			p.started = time.Since(began)
			return p, nil
		}
		p.kill()
	}
	return nil, fault
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// await waits until a server serves, or has ended.
func (p *process) await(ctx context.Context, serves func(ctx context.Context, address string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return fmt.Errorf("%s does not start", p.cmd.Path)
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w", p.cmd.Path, ctx.Err())
		case <-ticker.C:
			if serves(ctx, p.address) {
				return nil
			}
		}
	}
}
