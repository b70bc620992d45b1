package testkit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// KafkaQueue is the queue of one installation: topics and a group that nobody else has in this run. Nothing of it
// exists before somebody makes it.
type KafkaQueue struct {
	Topic string // of the low lane; that of the high lane has ".high" behind it
	Group string

	kafka *Kafka
}

var lastKafkaQueue atomic.Int64

// NewQueue chooses the names of a queue.
func (k *Kafka) NewQueue() KafkaQueue {
	number := lastKafkaQueue.Add(1)
	return KafkaQueue{Topic: fmt.Sprintf("requests-%d", number), Group: fmt.Sprintf("workers-%d", number), kafka: k}
}

// Variables configure an installation that uses the queue; where its Redis is comes in addition.
func (q KafkaQueue) Variables() []string {
	return []string{
		"OPENHQM_QUEUE_TYPE=kafka", "OPENHQM_KAFKA_BROKERS=" + strings.Join(q.kafka.Brokers, ","),
		"OPENHQM_QUEUE_REQUESTS=" + q.Topic, "OPENHQM_KAFKA_GROUP=" + q.Group,
	}
}

// KafkaRecord is a record as other programs write and read it, with neither tabs nor line ends. Without a key it has
// none in Kafka.
type KafkaRecord struct{ Key, Value string }

const noKafkaKey = "null"

// Produce writes records with Kafka's own console producer.
func (k *Kafka) Produce(tb testing.TB, topic string, records ...KafkaRecord) {
	tb.Helper()
	var lines strings.Builder
	for _, r := range records {
		if r.Key == "" {
			r.Key = noKafkaKey
		}
		fmt.Fprintf(&lines, "%s\t%s\n", r.Key, r.Value)
	}
	k.tool(tb, lines.String(), "org.apache.kafka.tools.ConsoleProducer", "--topic", topic,
		"--reader-property", "parse.key=true", "--reader-property", "null.marker="+noKafkaKey)
}

// Consume reads the first records of a topic with Kafka's own console consumer, which waits until there are so many.
// Those of different partitions come in any order.
func (k *Kafka) Consume(tb testing.TB, topic string, records int) []KafkaRecord {
	tb.Helper()
	output := k.tool(tb, "", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", topic, "--from-beginning",
		"--max-messages", strconv.Itoa(records), "--timeout-ms", strconv.FormatInt(Patience.Milliseconds(), 10),
		"--formatter-property", "print.key=true")
	var read []KafkaRecord
	for line := range strings.Lines(output) {
		if key, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); found {
			read = append(read, KafkaRecord{Key: strings.TrimPrefix(key, noKafkaKey), Value: value})
		}
	}
	require.Len(tb, read, records, output)
	return read
}

// MakeTopic makes a topic of one partition with settings ("retention.ms=1000").
func (k *Kafka) MakeTopic(tb testing.TB, topic string, settings ...string) {
	tb.Helper()
	args := make([]string, 0, 6+2*len(settings))
	args = append(args, topicCommand, "--create", "--topic", topic, "--partitions", "1")
	for _, setting := range settings {
		args = append(args, "--config", setting)
	}
	k.tool(tb, "", args...)
}

const topicCommand = "org.apache.kafka.tools.TopicCommand"

// DeleteTopics deletes the topics whose names begin with that of a queue.
func (k *Kafka) DeleteTopics(tb testing.TB, queue KafkaQueue) {
	tb.Helper()
	k.tool(tb, "", topicCommand, "--delete", "--topic", regexp.QuoteMeta(queue.Topic)+`(\..*)?`)
}

// Allow lets one of KafkaUsers do something ("Describe") with the topics of a queue.
func (k *Kafka) Allow(tb testing.TB, user, operation string, queue KafkaQueue) {
	tb.Helper()
	k.tool(tb, "", "org.apache.kafka.tools.AclCommand", "--add", "--allow-principal", "User:"+user,
		"--operation", operation, "--topic", queue.Topic, "--resource-pattern-type", "prefixed")
}

// Coordinator tells which broker, counted from 0, coordinates all groups: there is one partition of their offsets.
func (k *Kafka) Coordinator(tb testing.TB) int {
	tb.Helper()
	return k.Leader(tb, "__consumer_offsets")
}

// Leader tells which broker, counted from 0, leads the first partition of a topic.
func (k *Kafka) Leader(tb testing.TB, topic string) int {
	tb.Helper()
	output := k.tool(tb, "", topicCommand, "--describe", "--topic", topic)
	found := regexp.MustCompile(`Partition: 0\s+Leader: (\d+)`).FindStringSubmatch(output)
	require.NotNil(tb, found, output)
	id, err := strconv.Atoi(found[1])
	require.NoError(tb, err)
	return k.Node(id)
}

// tool runs a command-line tool of Kafka that must succeed, and gives what it prints.
func (k *Kafka) tool(tb testing.TB, input string, args ...string) string {
	tb.Helper()
	output, err := k.Run(input, append(args, "--bootstrap-server", strings.Join(k.Inside, ","))...)
	require.NoError(tb, err, output)
	return output
}
