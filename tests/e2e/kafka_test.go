package e2e_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestATopicThatKeepsMessagesTooShortlyFailsTheStart(t *testing.T) {
	t.Parallel()
	kafka := testkit.SharedKafka(t)
	queue := kafka.NewQueue()
	kafka.MakeTopic(t, queue.Name, "retention.ms=3600000")
	requireStartFails(t, onCarrier(t, queue, testkit.StartRedis(t), "all", ""),
		queue.Name, "keeps messages for 1h0m0s", "at least 96h0m0s", kafka.Brokers[0])
}

func TestACompactedTopicFailsTheStart(t *testing.T) {
	t.Parallel()
	kafka := testkit.SharedKafka(t)
	for _, policy := range []string{"compact", "compact,delete"} {
		for name, topicOf := range map[string]func(testkit.Queue) string{
			"requests":     func(q testkit.Queue) string { return q.Name },
			"urgent ones":  testkit.Queue.High,
			"side channel": func(q testkit.Queue) string { return q.Name + "-responses" },
		} {
			t.Run(policy+" "+name, func(t *testing.T) {
				t.Parallel()
				queue := kafka.NewQueue()
				topic := topicOf(queue)
				kafka.MakeTopic(t, topic, "cleanup.policy="+policy)
				output := onCarrier(t, queue, testkit.StartRedis(t), "all", "",
					"OPENHQM_QUEUE_RESPONSES="+queue.Name+"-responses").RunSoon(10 * time.Second)

				require.Equal(t, exitUsage, output.Code, output.Stderr)
				require.Contains(t, output.Stderr, `topic "`+topic+`" has cleanup.policy=`+policy+",")
			})
		}
	}
}

func TestOneProcessDoesItAllOnKafkaWithAPasswordAndTLS(t *testing.T) {
	t.Parallel()
	certificate, key := testkit.SelfSigned(t)
	kafka := testkit.StartSecureKafka(t, read(t, certificate), read(t, key))
	installAs := func(queue testkit.Queue, user string, more ...string) *testkit.Gateway {
		return onCarrier(t, queue, testkit.StartRedis(t), "all", "", slices.Concat([]string{
			"OPENHQM_KAFKA_SECURITY_PROTOCOL=SASL_SSL", "OPENHQM_KAFKA_TLS_CA_FILE=" + certificate,
			"OPENHQM_KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "OPENHQM_KAFKA_SASL_USERNAME=" + user,
			"OPENHQM_KAFKA_SASL_PASSWORD=${SCRAM}", "SCRAM=" + testkit.KafkaUsers[user],
		}, more)...)
	}
	queue, foreign, address := kafka.NewQueue(), kafka.NewQueue(), kafka.Brokers[0]
	kafka.Allow(t, "scram", "Describe", foreign)

	process := installAs(queue, testkit.KafkaAdmin).Start()
	client := process.Client()
	id := client.Submit(`{"payload": {"hello":  "world"}}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	require.ElementsMatch(t, []string{"queue", "store", "worker", "http", "log"}, components(t, client))
	require.NotContains(t, process.Log.Text(), testkit.KafkaUsers[testkit.KafkaAdmin])

	requireStartFails(t, installAs(queue, testkit.KafkaAdmin, "SCRAM=another-secret"),
		"does not accept this user", address)
	requireStartFails(t, installAs(queue, testkit.KafkaAdmin, "OPENHQM_KAFKA_TLS_CA_FILE="),
		"x509: certificate signed by unknown authority", address)
	requireStartFails(t, installAs(kafka.NewQueue(), "scram"), "permission DESCRIBE", address)
	requireStartFails(t, installAs(foreign, "scram"), foreign.Name, "permission CREATE", address)
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}
