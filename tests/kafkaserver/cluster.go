// Package kafkaserver runs real clusters of Kafka, for tests and for measuring.
package kafkaserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openhqm/openhqm/tests/moving"
)

// Options of a cluster.
type Options struct {
	Program  string   // what scripts/brokers/ensure kafka prints
	Dir      string   // for all that the brokers keep
	Brokers  int      // each is a controller too
	Protocol string   // that clients speak, as in security.protocol of a client
	Settings string   // further lines of server.properties
	Scram    []string // users that SCRAM knows, as --add-scram of Kafka's StorageTool takes them
	JVM      string   // options of Java, which come after those of Program
}

// Cluster is a real cluster of brokers on free ports of the loopback interface. What it accepted survives Kill. Its
// methods are not safe for concurrent use, besides Run.
type Cluster struct {
	Brokers []string // host:port for clients, by node
	Inside  []string // host:port for tools, by node: without TLS and users, whatever clients need

	opts  Options
	nodes []*node
}

// startPatience is how long a broker that does not serve yet may write nothing to its log. It is no expectation: a Java
// program says nothing while it loads its classes, and the machine may be very busy.
const startPatience = 3 * time.Minute

// Start starts a cluster and waits until all of its brokers serve, which takes a few seconds. After an error nothing
// runs. Ports are free when they are chosen, and may be taken before Kafka has them.
func Start(opts Options) (*Cluster, error) {
	var fault error
	for try := range 3 {
		c := &Cluster{opts: opts}
		for i := range opts.Brokers {
			c.nodes = append(c.nodes, &node{id: i + 1, dir: filepath.Join(opts.Dir, fmt.Sprintf("%d-%d", try, i+1))})
		}
		if fault = c.startNodes(); fault == nil {
			return c, nil
		}
		c.Close()
	}
	return nil, fault
}

func (c *Cluster) startNodes() error {
	addresses, err := freeAddresses(3 * len(c.nodes))
	if err != nil {
		return err
	}
	voters := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		n.client, n.controller = addresses[3*i], addresses[3*i+1]
		voters[i] = strconv.Itoa(n.id) + "@" + n.controller
		n.internal = addresses[3*i+2]
		c.Brokers, c.Inside = append(c.Brokers, n.client), append(c.Inside, n.internal)
	}
	settings := smallSettings + c.opts.Settings + "\n" +
		"listener.security.protocol.map=CLIENT:" + c.opts.Protocol + ",INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT\n" +
		"controller.quorum.voters=" + strings.Join(voters, ",") + "\n"
	replicas := strconv.Itoa(len(c.nodes))
	settings += "offsets.topic.replication.factor=" + replicas +
		"\ntransaction.state.log.replication.factor=" + replicas +
		"\nshare.coordinator.state.topic.replication.factor=" + replicas + "\n"
	for _, n := range c.nodes {
		if err := n.configure(settings); err != nil {
			return err
		}
	}
	var formatting sync.WaitGroup
	errs := make([]error, len(c.nodes))
	for i, n := range c.nodes {
		formatting.Go(func() { errs[i] = c.format(n) })
	}
	formatting.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, n := range c.nodes {
		if err := n.launch(&c.opts); err != nil {
			return err
		}
	}
	for i, n := range c.nodes {
		errs[i] = n.awaitServing()
	}
	return errors.Join(errs...)
}

// freeAddresses returns addresses of the loopback interface, host:port, that were free a moment ago.
func freeAddresses(n int) ([]string, error) {
	addresses := make([]string, n)
	for i := range addresses {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // all ports are held until the last one is chosen
		addresses[i] = listener.Addr().String()
	}
	return addresses, nil
}

// clusterID is any UUID, in the form that Kafka writes them.
const clusterID = "MkU3OEVBNTcwNTJENDM2Qg"

// format prepares the directory of one node.
func (c *Cluster) format(n *node) error {
	args := make([]string, 0, 6+2*len(c.opts.Scram))
	args = append(args, "kafka.tools.StorageTool", "format", "--cluster-id", clusterID, "--config", n.settings())
	for _, user := range c.opts.Scram {
		args = append(args, "--add-scram", user)
	}
	output, err := c.Run("", args...)
	if err != nil {
		return fmt.Errorf("format the directory of a broker: %w: %s", err, output)
	}
	return nil
}

// runPatience is how long a tool may not get on, see moving.CPU.
const runPatience = 2 * time.Minute

// Run runs a class of Kafka, such as org.apache.kafka.tools.TopicCommand, with arguments and an input to read, and
// returns what it prints. A tool that hangs is killed. Run is safe for concurrent use.
func (c *Cluster) Run(input string, args ...string) (string, error) {
	var started atomic.Int64 // its process id
	ctx, cancel := moving.While(context.Background(), runPatience, func() int64 {
		return moving.CPU(int(started.Load()))
	})
	defer cancel()
	cmd := exec.CommandContext(ctx, c.opts.Program, args...) //nolint:gosec // Kafka's own classes
	cmd.Stdin = strings.NewReader(input)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return "", err
	}
	started.Store(int64(cmd.Process.Pid))
	err := cmd.Wait()
	return output.String(), err
}

// Process returns the process of a broker, counted from 0.
func (c *Cluster) Process(broker int) *os.Process { return c.nodes[broker].process }

// Node says which broker, counted from 0, has an id; -1: none.
func (c *Cluster) Node(id int) int {
	return slices.IndexFunc(c.nodes, func(n *node) bool { return n.id == id })
}

// Kill ends a broker, counted from 0, with SIGKILL, and waits until it is gone. Again it does nothing.
func (c *Cluster) Kill(broker int) {
	n := c.nodes[broker]
	if n.ended == nil {
		return
	}
	_ = n.process.Kill() // it may have ended
	<-n.ended
}

// Restart starts a broker that was killed, on its ports and with what it had on its disk, and waits until it serves.
func (c *Cluster) Restart(broker int) error {
	n := c.nodes[broker]
	if err := n.launch(&c.opts); err != nil {
		return err
	}
	return n.awaitServing()
}

// Close kills all brokers; again it does nothing.
func (c *Cluster) Close() {
	for i := range c.nodes {
		c.Kill(i)
	}
}
