package testkit

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/kafkaserver"
)

// Kafka is a real cluster of brokers. Starting one takes a few seconds, so tests that do not disturb it share one.
type Kafka struct{ *kafkaserver.Cluster }

func kafkaCarrier() Carrier {
	return Carrier{
		Name: "kafka", Program: "kafka", HighSuffix: ".high", Lease: "OPENHQM_KAFKA_SESSION_TIMEOUT",
		MaxBody: 2 << 20, Keyed: true, Created: "topic created",
		Shared: func(tb testing.TB) Broker {
			tb.Helper()
			return kafkaBroker{SharedKafka(tb)}
		},
		Start: func(tb testing.TB) Broker {
			tb.Helper()
			return kafkaBroker{StartKafka(tb, 1)}
		},
		Run:       runKafka,
		Variables: kafkaVariables,
	}
}

// kafkaVariables take the addresses of several brokers too, with commas between them.
func kafkaVariables(address, queue string) []string {
	return []string{
		"OPENHQM_QUEUE_TYPE=kafka", "OPENHQM_KAFKA_BROKERS=" + address,
		"OPENHQM_QUEUE_REQUESTS=" + queue, "OPENHQM_KAFKA_GROUP=" + queue + "-workers",
	}
}

// runKafka starts a Kafka that writes to disk when the kernel does, as is its default: it promises what its replicas
// have.
func runKafka(opts RunOptions) (Running, error) {
	cluster, err := kafkaserver.Start(kafkaserver.Options{
		Program: opts.Program, Dir: opts.Dir, Brokers: 1, Protocol: "PLAINTEXT", JVM: opts.JVM,
	})
	if err != nil {
		return Running{}, err
	}
	return Running{Address: cluster.Brokers[0], PID: cluster.Process(0).Pid, Close: cluster.Close}, nil
}

// kafkaBroker is a cluster of one broker.
type kafkaBroker struct{ *Kafka }

func (b kafkaBroker) Kill() { b.Kafka.Kill(0) }

func (b kafkaBroker) Restart(tb testing.TB) {
	tb.Helper()
	b.Kafka.Restart(tb, 0)
}

// KafkaUsers are the users of a cluster that requires one, and their passwords. The administrator may do everything,
// the other users only what an access control list allows.
var KafkaUsers = map[string]string{KafkaAdmin: "admin-secret", "plain": "plain-secret", "scram": "scram-secret"}

// KafkaAdmin is the administrator among KafkaUsers.
const KafkaAdmin = "admin"

// StartKafka starts a cluster of that many brokers, which ends with the test. Where Kafka cannot be fetched the test is
// skipped; with CI=true it fails.
func StartKafka(tb testing.TB, brokers int) *Kafka {
	tb.Helper()
	return startKafka(tb, kafkaserver.Options{Brokers: brokers, Protocol: "PLAINTEXT"})
}

// StartSecureKafka starts a broker that speaks TLS with the certificate and key, as PEM, and requires one of
// KafkaUsers: PLAIN for the user plain, SCRAM-SHA-256 and SCRAM-SHA-512 for scram, all of them for the administrator.
func StartSecureKafka(tb testing.TB, certificate, key string) *Kafka {
	tb.Helper()
	scram := make([]string, 0, 4)
	for _, user := range []string{KafkaAdmin, "scram"} {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			scram = append(scram, fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, KafkaUsers[user]))
		}
	}
	return startKafka(tb, kafkaserver.Options{
		Brokers: 1, Protocol: "SASL_SSL", Settings: secureSettings(certificate, key), Scram: scram,
	})
}

// SharedKafka returns a broker that all tests of a package share. Main ends it.
func SharedKafka(tb testing.TB) *Kafka {
	tb.Helper()
	requireKafka(tb)
	k, err := sharedKafka()
	require.NoError(tb, err)
	return k
}

var sharedKafka = sync.OnceValues(func() (*Kafka, error) {
	program, err := kafkaProgram()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "openhqm-kafka")
	if err != nil {
		return nil, err
	}
	doAtEnd(func() { _ = os.RemoveAll(dir) }) // what is left over is in the system's directory for such things
	cluster, err := kafkaserver.Start(kafkaserver.Options{
		Program: program, Dir: dir, Brokers: 1, Protocol: "PLAINTEXT",
	})
	if err != nil {
		return nil, err
	}
	doAtEnd(cluster.Close)
	return &Kafka{cluster}, nil
})

func startKafka(tb testing.TB, opts kafkaserver.Options) *Kafka {
	tb.Helper()
	opts.Program, opts.Dir = requireKafka(tb), tb.TempDir()
	cluster, err := kafkaserver.Start(opts)
	require.NoError(tb, err)
	tb.Cleanup(cluster.Close)
	return &Kafka{cluster}
}

func requireKafka(tb testing.TB) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: this test needs a broker")
	}
	return requireProgram(tb, kafkaProgram)
}

// kafkaProgram returns the path of what runs the classes of Kafka, which it fetches at the first call.
var kafkaProgram = sync.OnceValues(func() (string, error) { return ensure("kafka") })

// Restart starts a broker that was killed, on its ports and with what it had on its disk, and waits until it serves.
func (k *Kafka) Restart(tb testing.TB, broker int) {
	tb.Helper()
	require.NoError(tb, k.Cluster.Restart(broker))
}

// secureSettings are the settings of a broker that requires a user.
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
