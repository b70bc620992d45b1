package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kafkaSettings make a broker small and quick. Sessions may be short, and a broker that is gone is missed soon.
const kafkaSettings = `
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

// kafkaNode is one broker and controller.
type kafkaNode struct {
	id         int
	client     string // host:port for clients
	controller string // likewise for controllers
	internal   string // likewise for brokers and tools, without TLS or users
	dir        string
	process    *os.Process
	ended      chan struct{} // closed when the process has ended; nil: it was never started
}

// start makes a cluster and waits until all of its brokers serve. Ports are free when they are chosen, and may be taken
// before Kafka has them.
func (k *Kafka) start(brokers int, listener, more string) error {
	var err error
	for try := range 3 {
		k.Brokers, k.nodes = nil, nil
		for i := range brokers {
			n := &kafkaNode{id: i + 1, dir: filepath.Join(k.dir, fmt.Sprintf("%d-%d", try, i+1))}
			k.nodes = append(k.nodes, n)
		}
		if err = k.startNodes(listener, more); err == nil {
			return nil
		}
		k.Close()
	}
	return err
}

func (k *Kafka) startNodes(listener, more string) error {
	addresses, err := freeAddresses(3 * len(k.nodes))
	if err != nil {
		return err
	}
	voters := make([]string, len(k.nodes))
	for i, n := range k.nodes {
		n.client, n.controller, n.internal = addresses[3*i], addresses[3*i+1], addresses[3*i+2]
		voters[i] = strconv.Itoa(n.id) + "@" + n.controller
		k.Brokers = append(k.Brokers, n.client)
	}
	settings := kafkaSettings + more + "\n" +
		"listener.security.protocol.map=" + listener + ",INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT\n" +
		"controller.quorum.voters=" + strings.Join(voters, ",") + "\n"
	replicas := strconv.Itoa(len(k.nodes))
	settings += "offsets.topic.replication.factor=" + replicas +
		"\ntransaction.state.log.replication.factor=" + replicas +
		"\nshare.coordinator.state.topic.replication.factor=" + replicas + "\n"
	for _, n := range k.nodes {
		if err := n.configure(settings); err != nil {
			return err
		}
	}
	var formatting sync.WaitGroup
	errs := make([]error, len(k.nodes))
	for i, n := range k.nodes {
		formatting.Go(func() { errs[i] = k.format(n) })
	}
	formatting.Wait()
	for i, n := range k.nodes {
		errs[i] = errors.Join(errs[i], k.launch(n))
	}
	for i, n := range k.nodes {
		errs[i] = errors.Join(errs[i], k.awaitServing(n))
	}
	return errors.Join(errs...)
}

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

// configure writes the settings of one node.
func (n *kafkaNode) configure(settings string) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	settings += fmt.Sprintf("node.id=%d\nlog.dirs=%s\n"+
		"listeners=CLIENT://%s,INTERNAL://%s,CONTROLLER://%s\nadvertised.listeners=CLIENT://%s,INTERNAL://%s\n",
		n.id, filepath.Join(n.dir, "data"), n.client, n.internal, n.controller, n.client, n.internal)
	return os.WriteFile(n.settings(), []byte(settings), 0o600)
}

func (n *kafkaNode) settings() string { return filepath.Join(n.dir, "server.properties") }

// kafkaClusterID is any UUID, in the form that Kafka writes them.
const kafkaClusterID = "MkU3OEVBNTcwNTJENDM2Qg"

// format prepares the directory of one node, and tells it the users that SCRAM knows.
func (k *Kafka) format(n *kafkaNode) error {
	args := make([]string, 0, 16)
	args = append(args, "kafka.tools.StorageTool", "format", "--cluster-id", kafkaClusterID, "--config", n.settings())
	for _, user := range []string{KafkaAdmin, "scram"} {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, KafkaUsers[user]))
		}
	}
	output, err := k.run("", args...)
	if err != nil {
		return fmt.Errorf("format the directory of a broker: %w: %s", err, output)
	}
	return nil
}

// launch starts the process of a node.
func (k *Kafka) launch(n *kafkaNode) error {
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), k.program, "kafka.Kafka", n.settings()) //nolint:gosec // Kafka
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

// awaitServing waits until clients can connect to a node, which is when it has joined the cluster, or it has ended.
func (k *Kafka) awaitServing(n *kafkaNode) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*Patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-n.ended:
			return fmt.Errorf("kafka does not start on %s: %s", n.client, n.tail())
		case <-ctx.Done():
			return fmt.Errorf("kafka does not serve on %s: %s", n.client, n.tail())
		case <-ticker.C:
		}
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", n.client); err == nil {
			return conn.Close()
		}
	}
}

func (n *kafkaNode) tail() string {
	log, _ := os.ReadFile(filepath.Join(n.dir, "log")) // what there is of it
	return string(log[max(0, len(log)-4096):])
}

// secureSettings are those of a broker that asks for a user.
func secureSettings(certificate, key string) string {
	var plain strings.Builder
	for name, password := range KafkaUsers {
		if name != "scram" {
			fmt.Fprintf(&plain, ` user_%s="%s"`, name, password)
		}
	}
	oneLine := func(pem string) string { return strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\\n") }
	const module = "org.apache.kafka.common.security."
	return "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n" +
		"listener.name.client.plain.sasl.jaas.config=" + module + "plain.PlainLoginModule required" + plain.String() + ";\n" +
		"listener.name.client.scram-sha-256.sasl.jaas.config=" + module + "scram.ScramLoginModule required;\n" +
		"listener.name.client.scram-sha-512.sasl.jaas.config=" + module + "scram.ScramLoginModule required;\n" +
		"ssl.keystore.type=PEM\nssl.keystore.certificate.chain=" + oneLine(certificate) + "\n" +
		"ssl.keystore.key=" + oneLine(key) + "\n" +
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n" +
		"super.users=User:" + KafkaAdmin + ";User:ANONYMOUS\n"
}
