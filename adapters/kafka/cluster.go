package kafka

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/openhqm/openhqm/adapters/carrier"
)

const (
	// metadataAge is how old what is known of the cluster may be; kafka-go draws a random part of it. Whoever meets an
	// error asks for it again at once, so this is for what nobody notices, such as partitions that were added.
	metadataAge = 30 * time.Second
	// forgetPause is how long what was learned again is good for at least.
	forgetPause = 250 * time.Millisecond

	nobody = int32(-1) // the leader of a partition that has none
)

// cluster sends requests to the brokers that they are for. It is safe for concurrent use.
type cluster struct {
	opts  *Options
	sasl  sasl.Mechanism
	conns *conns

	mu        sync.Mutex
	topics    []topic // replaced, never changed
	transport *kafka.Transport
	addr      net.Addr
	known     []string // brokers that the cluster has reported
	forgot    time.Time
}

// topic is one that we use.
type topic struct {
	name    string
	foreign bool // other programs write it, so the size of its messages is theirs to choose
}

func newCluster(opts *Options, topics []topic) (*cluster, error) {
	mechanism, err := opts.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	c := &cluster{opts: opts, sasl: mechanism, conns: newConns(opts.Dial), addr: kafka.TCP(opts.Brokers...)}
	c.use(topics)
	return c, nil
}

const clientID = "openhqm"

// use makes a transport that knows these topics. Called with mu held, or before anybody else has the cluster.
func (c *cluster) use(topics []topic) {
	c.topics = topics
	c.transport = &kafka.Transport{
		ClientID: clientID, Dial: c.conns.dial, DialTimeout: carrier.DialTimeout, TLS: cloned(c.opts.TLS), SASL: c.sasl,
		MetadataTTL: metadataAge, MetadataTopics: names(topics), IdleTimeout: time.Minute,
	}
}

func names(topics []topic) []string {
	list := make([]string, len(topics))
	for i, t := range topics {
		list[i] = t.name
	}
	return list
}

// add makes a topic one of ours, and reports whether it was none before. kafka-go takes topics when a transport is made
// alone, so this makes another; what is under way on the old one goes on.
func (c *cluster) add(added topic) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(names(c.topics), added.name) {
		return false
	}
	old := c.transport
	c.use(append(slices.Clip(c.topics), added))
	old.CloseIdleConnections()
	return true
}

// remove is the opposite of add. Nobody uses the topic.
func (c *cluster) remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics = slices.DeleteFunc(slices.Clone(c.topics), func(t topic) bool { return t.name == name })
}

// all returns our topics.
func (c *cluster) all() []topic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topics
}

// client returns kafka-go's own calls.
func (c *cluster) client() *kafka.Client {
	transport, addr := c.current()
	return &kafka.Client{Addr: addr, Transport: transport, Timeout: carrier.CallTimeout}
}

func (c *cluster) current() (*kafka.Transport, net.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport, c.addr
}

// call sends a request and waits for its answer, at most so long. When ctx is cancelled it returns at once, and the
// request may have an effect all the same.
func (c *cluster) call(ctx context.Context, timeout time.Duration, req kafka.Request) (kafka.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport, addr := c.current()
	return transport.RoundTrip(ctx, addr, req)
}

// layout is what is known of our topics.
type layout struct {
	topics  map[string]*topicLayout
	brokers int
}

type topicLayout struct {
	leaders  []int32 // by partition
	replicas int     // of the partition that has the fewest
	err      error   // why nothing is known of it
}

// leader returns the broker that leads a partition, or nobody.
func (l *layout) leader(topic string, partition int32) int32 {
	t := l.topics[topic]
	if t == nil || int(partition) >= len(t.leaders) {
		return nobody
	}
	return t.leaders[partition]
}

// missing returns why nothing is known of a topic; nil when it is known.
func (l *layout) missing(topic string) error {
	t := l.topics[topic]
	if t == nil {
		return kafka.UnknownTopicOrPartition
	}
	return t.err
}

// partitions is how many a topic has.
func (l *layout) partitions(topic string) int {
	if t := l.topics[topic]; t != nil {
		return len(t.leaders)
	}
	return 0
}

// layout returns what is known of our topics, which costs no round trip unless it was forgotten. An error is forgotten
// at once: kafka-go would go on returning it for up to metadataAge, however soon the brokers are back.
func (c *cluster) layout(ctx context.Context) (*layout, error) {
	answer, err := c.call(ctx, carrier.CallTimeout, &metadata.Request{TopicNames: names(c.all())})
	if err != nil {
		if ctx.Err() == nil {
			c.forget()
		}
		return nil, err
	}
	known, ok := answer.(*metadata.Response)
	if !ok {
		return nil, fmt.Errorf("kafka-go returned an unexpected %T", answer)
	}
	l := &layout{topics: make(map[string]*topicLayout, len(known.Topics)), brokers: len(known.Brokers)}
	alive := make(map[int32]string, len(known.Brokers))
	for _, broker := range known.Brokers {
		alive[broker.NodeID] = net.JoinHostPort(broker.Host, strconv.Itoa(int(broker.Port)))
	}
	for i := range known.Topics {
		l.topics[known.Topics[i].Name] = newTopicLayout(&known.Topics[i], alive)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = slices.Collect(maps.Values(alive))
	return l, nil
}

// has reports whether a topic is known to be there.
func (c *cluster) has(ctx context.Context, topic string) bool {
	known, err := c.layout(ctx)
	return err == nil && known.missing(topic) == nil
}

func newTopicLayout(response *metadata.ResponseTopic, alive map[int32]string) *topicLayout {
	if response.ErrorCode != 0 {
		return &topicLayout{err: kafka.Error(response.ErrorCode)}
	}
	t := &topicLayout{leaders: make([]int32, len(response.Partitions))}
	for _, p := range response.Partitions {
		if int(p.PartitionIndex) >= len(t.leaders) {
			continue
		}
		t.leaders[p.PartitionIndex] = nobody
		if _, ok := alive[p.LeaderID]; ok {
			t.leaders[p.PartitionIndex] = p.LeaderID
		}
		if t.replicas == 0 || len(p.ReplicaNodes) < t.replicas {
			t.replicas = len(p.ReplicaNodes)
		}
	}
	return t
}

// forget is forgetNow unless that was done a moment ago: many notice the same error.
func (c *cluster) forget() {
	c.mu.Lock()
	recently := c.opts.Now().Sub(c.forgot) < forgetPause
	c.mu.Unlock()
	if !recently {
		c.forgetNow()
	}
}

// forgetNow makes the next call ask for the layout of the cluster again, at the brokers of the configuration and those
// that it has named. kafka-go has no call for that, but keeps what it knows with its connections.
func (c *cluster) forgetNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgot = c.opts.Now()
	c.transport.CloseIdleConnections()
	c.addr = kafka.TCP(c.brokers()...)
}

// from lists the brokers of the configuration and then those that we have heard of, and begins with another one for
// each number: kafka-go asks a list in its order, and goes on only when nobody listens.
func (c *cluster) from(number int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	brokers := c.brokers()
	first := number % len(brokers)
	return slices.Concat(brokers[first:], brokers[:first])
}

// brokers lists them, each once. Called with mu held.
func (c *cluster) brokers() []string {
	list := slices.Clone(c.opts.Brokers)
	for _, broker := range slices.Sorted(slices.Values(c.known)) {
		if !slices.Contains(list, broker) {
			list = append(list, broker)
		}
	}
	return list
}

func (c *cluster) close() {
	transport, _ := c.current()
	transport.CloseIdleConnections()
	c.conns.cut()
}
