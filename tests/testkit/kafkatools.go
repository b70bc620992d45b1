package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Address names all brokers.
func (k *Kafka) Address() string { return strings.Join(k.Brokers, ",") }

// NewQueue chooses the name of a queue.
func (k *Kafka) NewQueue() Queue { return kafkaCarrier().NewQueue(kafkaBroker{k}) }

const noKafkaKey = "null"

// Send writes messages with Kafka's own console producer. Without a key they have none in Kafka.
func (k *Kafka) Send(tb testing.TB, topic string, messages ...Message) (ids []string) {
	tb.Helper()
	var lines strings.Builder
	for _, m := range messages {
		if m.Key == "" {
			m.Key = noKafkaKey
		}
		fmt.Fprintf(&lines, "%s\t%s\n", m.Key, m.Value)
		ids = append(ids, "message-"+regexp.QuoteMeta(topic)+`-\d+-\d+-\d+`) // partition, offset and time are not ours
	}
	k.tool(tb, lines.String(), "org.apache.kafka.tools.ConsoleProducer", "--topic", topic,
		"--reader-property", "parse.key=true", "--reader-property", "null.marker="+noKafkaKey)
	return ids
}

// Read reads the first messages of a topic with Kafka's own console consumer, which waits until there are so many.
// Those of different partitions come in any order.
func (k *Kafka) Read(tb testing.TB, topic string, n int) []Message {
	tb.Helper()
	output := k.tool(tb, "", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", topic, "--from-beginning",
		"--max-messages", strconv.Itoa(n), "--timeout-ms", strconv.FormatInt(Patience.Milliseconds(), 10),
		"--formatter-property", "print.key=true")
	var read []Message
	for line := range strings.Lines(output) {
		if key, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); found {
			read = append(read, Message{Key: strings.TrimPrefix(key, noKafkaKey), Value: value})
		}
	}
	require.Len(tb, read, n, output)
	return read
}

// MakeTopic creates a topic of one partition with settings ("retention.ms=1000").
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

// Purge deletes all records of topics, with Kafka's own tool.
func (k *Kafka) Purge(tb testing.TB, topics ...string) {
	tb.Helper()
	type upTo struct {
		Topic     string `json:"topic"`
		Partition int    `json:"partition"`
		Offset    int    `json:"offset"`
	}
	var all struct {
		Version    int    `json:"version"`
		Partitions []upTo `json:"partitions"`
	}
	all.Version = 1
	for _, topic := range topics {
		for partition := range k.partitions(tb, topic) {
			all.Partitions = append(all.Partitions, upTo{topic, partition, -1})
		}
	}
	document, err := json.Marshal(all)
	require.NoError(tb, err)
	file := filepath.Join(tb.TempDir(), "purge.json")
	require.NoError(tb, os.WriteFile(file, document, 0o600))
	k.tool(tb, "", "org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", file)
}

// partitions returns how many a topic has.
func (k *Kafka) partitions(tb testing.TB, topic string) int {
	tb.Helper()
	output := k.tool(tb, "", topicCommand, "--describe", "--topic", topic)
	found := regexp.MustCompile(`PartitionCount: (\d+)`).FindStringSubmatch(output)
	require.NotNil(tb, found, output)
	n, err := strconv.Atoi(found[1])
	require.NoError(tb, err)
	return n
}

// Delete deletes topics.
func (k *Kafka) Delete(tb testing.TB, topics ...string) {
	tb.Helper()
	for _, topic := range topics {
		k.tool(tb, "", topicCommand, "--delete", "--topic", regexp.QuoteMeta(topic))
	}
}

// Allow lets one of KafkaUsers do something ("Describe") with the topics of a queue.
func (k *Kafka) Allow(tb testing.TB, user, operation string, queue Queue) {
	tb.Helper()
	k.tool(tb, "", "org.apache.kafka.tools.AclCommand", "--add", "--allow-principal", "User:"+user,
		"--operation", operation, "--topic", queue.Name, "--resource-pattern-type", "prefixed")
}

// Coordinator returns which broker, counted from 0, coordinates all groups: there is one partition of their offsets.
func (k *Kafka) Coordinator(tb testing.TB) int {
	tb.Helper()
	return k.Leader(tb, "__consumer_offsets")
}

// Leader returns which broker, counted from 0, leads the first partition of a topic.
func (k *Kafka) Leader(tb testing.TB, topic string) int {
	tb.Helper()
	output := k.tool(tb, "", topicCommand, "--describe", "--topic", topic)
	found := regexp.MustCompile(`Partition: 0\s+Leader: (\d+)`).FindStringSubmatch(output)
	require.NotNil(tb, found, output)
	id, err := strconv.Atoi(found[1])
	require.NoError(tb, err)
	return k.Node(id)
}

// tool runs a command-line tool of Kafka that must succeed, and returns what it prints.
func (k *Kafka) tool(tb testing.TB, input string, args ...string) string {
	tb.Helper()
	output, err := k.Run(input, append(args, "--bootstrap-server", strings.Join(k.Inside, ","))...)
	require.NoError(tb, err, output)
	return output
}
