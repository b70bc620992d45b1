package e2e_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// requireStartFails runs a process that cannot use its broker, and looks whether it says why, soon and once.
func requireStartFails(t *testing.T, gateway *testkit.Gateway, want ...string) {
	t.Helper()
	output := gateway.RunSoon(10 * time.Second)

	require.Equal(t, exitFailed, output.Code, output.Stderr)
	require.Equal(t, 1, strings.Count(output.Stderr, `"level":"ERROR"`), output.Stderr)
	for _, text := range want {
		require.Contains(t, output.Stderr, text)
	}
	require.NotContains(t, output.Stderr, "secret")
}

func TestAKafkaThatCannotBeUsedFailsTheStart(t *testing.T) {
	t.Parallel()
	kafka := testkit.SharedKafka(t)
	silent := testkit.NewPort(t)
	listener := silent.Listen()
	t.Cleanup(func() { _ = listener.Close() }) // nobody was accepted
	nobody, forgetful := testkit.NewPort(t).Address, kafka.NewQueue()
	kafka.MakeTopic(t, forgetful.Topic, "retention.ms=3600000")
	tests := []struct {
		name  string
		queue testkit.KafkaQueue
		give  string // a variable
		want  []string
	}{
		{
			name: "nobody is there", queue: kafka.NewQueue(), give: "OPENHQM_KAFKA_BROKERS=" + nobody,
			want: []string{"connection refused", nobody},
		},
		{
			name: "nobody answers", queue: kafka.NewQueue(), give: "OPENHQM_KAFKA_BROKERS=" + silent.Address,
			want: []string{silent.Address},
		},
		{
			name: "a topic that forgets too soon", queue: forgetful,
			want: []string{forgetful.Topic, "keeps messages for 1h0m0s", "at least 96h0m0s", kafka.Brokers[0]},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			requireStartFails(t, onKafka(t, tt.queue)(t, "all", "", tt.give), tt.want...)
		})
	}
}

func TestOneProcessDoesItAllOnKafkaWithAPasswordAndTLS(t *testing.T) {
	t.Parallel()
	certificate, key := testkit.SelfSigned(t)
	kafka := testkit.StartSecureKafka(t, read(t, certificate), read(t, key))
	installAs := func(queue testkit.KafkaQueue, user string, more ...string) *testkit.Gateway {
		return onKafka(t, queue)(t, "all", "", slices.Concat([]string{
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
	require.ElementsMatch(t, []string{"http", "log", "queue", "store", "worker"}, components(t, client))
	require.NotContains(t, process.Log.Text(), testkit.KafkaUsers[testkit.KafkaAdmin])

	requireStartFails(t, installAs(queue, testkit.KafkaAdmin, "SCRAM=another-secret"),
		"does not accept this user", address)
	requireStartFails(t, installAs(queue, testkit.KafkaAdmin, "OPENHQM_KAFKA_TLS_CA_FILE="),
		"x509: certificate signed by unknown authority", address)
	requireStartFails(t, installAs(kafka.NewQueue(), "scram"), "permission DESCRIBE", address)
	requireStartFails(t, installAs(foreign, "scram"), foreign.Topic, "permission CREATE", address)
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}
