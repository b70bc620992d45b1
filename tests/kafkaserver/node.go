package kafkaserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/openhqm/openhqm/tests/moving"
)

// smallSettings make a broker small and quick. Sessions may be short, and a broker that is gone is missed soon.
const smallSettings = `
process.roles=broker,controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
num.network.threads=2
num.io.threads=4
background.threads=2
num.partitions=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.enable=false
log.message.timestamp.after.max.ms=9223372036854775807
share.coordinator.state.topic.num.partitions=1
transaction.state.log.num.partitions=1
`

// node is one broker and controller.
type node struct {
	id         int
	client     string // host:port for clients
	controller string // likewise for controllers
	internal   string // likewise for brokers and tools
	dir        string
	process    *os.Process
	ended      chan struct{} // closed when the process has ended; nil: it was never started
}

// configure writes the settings of one node.
func (n *node) configure(settings string) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	settings += fmt.Sprintf("node.id=%d\nlog.dirs=%s\n"+
		"listeners=CLIENT://%s,INTERNAL://%s,CONTROLLER://%s\nadvertised.listeners=CLIENT://%s,INTERNAL://%s\n",
		n.id, filepath.Join(n.dir, "data"), n.client, n.internal, n.controller, n.client, n.internal)
	return os.WriteFile(n.settings(), []byte(settings), 0o600)
}

func (n *node) settings() string { return filepath.Join(n.dir, "server.properties") }

// launch starts the process of a node.
func (n *node) launch(opts *Options) error {
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), opts.Program, "kafka.Kafka", n.settings()) //nolint:gosec // Kafka
	cmd.Env = append(os.Environ(), "KAFKA_OPTS="+strings.TrimSpace(os.Getenv("KAFKA_OPTS")+" "+opts.JVM))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // that it ended is all there is to know
		_ = log.Close()
	}()
	n.process, n.ended = cmd.Process, ended
	return nil
}

// awaitServing waits until clients can connect to a node, which is when it has joined the cluster. It fails when the
// process ends, or its log does not grow any more.
func (n *node) awaitServing() error {
	ctx, cancel := moving.While(context.Background(), startPatience, n.logSize)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-n.ended:
			return fmt.Errorf("kafka does not start on %s: %s", n.client, n.tail())
		case <-ctx.Done():
			return fmt.Errorf("kafka does not serve on %s: %w: %s", n.client, context.Cause(ctx), n.tail())
		case <-ticker.C:
		}
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", n.client); err == nil {
			return conn.Close()
		}
	}
}

func (n *node) logPath() string { return filepath.Join(n.dir, "log") }

// logSize returns how many bytes the broker has written to its log.
func (n *node) logSize() int64 {
	info, err := os.Stat(n.logPath())
	if err != nil {
		return 0
	}
	return info.Size()
}

func (n *node) tail() string {
	log, _ := os.ReadFile(n.logPath()) // what there is of it
	return string(log[max(0, len(log)-4096):])
}
