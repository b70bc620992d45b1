package testkit

import (
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Kafka is a real cluster of brokers, each of which is a controller too, on free ports of the loopback interface. What
// it accepted survives Kill. Starting one takes a few seconds, so tests that do no harm to it share one.
type Kafka struct {
	Brokers []string // host:port, by node

	program string
	dir     string
	nodes   []*kafkaNode
}

// KafkaUsers are the users of a cluster that asks for a user, and their passwords. The administrator may do everything,
// the others nothing but what an access control list says.
var KafkaUsers = map[string]string{KafkaAdmin: "admin-secret", "plain": "plain-secret", "scram": "scram-secret"}

// KafkaAdmin is the administrator among KafkaUsers.
const KafkaAdmin = "admin"

// StartKafka starts a cluster of so many brokers, which ends with the test. Where Kafka cannot be had the test is
// skipped, and with CI=true it fails.
func StartKafka(tb testing.TB, brokers int) *Kafka {
	tb.Helper()
	k := newKafka(tb)
	tb.Cleanup(k.Close)
	require.NoError(tb, k.start(brokers, "CLIENT:PLAINTEXT", ""))
	return k
}

// StartSecureKafka starts a broker that speaks TLS with the certificate and key, as PEM, and asks for one of
// KafkaUsers: PLAIN for the user plain, SCRAM-SHA-256 and SCRAM-SHA-512 for scram, all of them for the administrator.
func StartSecureKafka(tb testing.TB, certificate, key string) *Kafka {
	tb.Helper()
	k := newKafka(tb)
	tb.Cleanup(k.Close)
	require.NoError(tb, k.start(1, "CLIENT:SASL_SSL", secureSettings(certificate, key)))
	return k
}

// endShared ends the broker that tests of a package shared.
func endShared() {
	if sharedStarted != nil {
		sharedStarted.Close()
		_ = os.RemoveAll(sharedStarted.dir) // what is left over is in the system's directory for such things
	}
}

// SharedKafka gives a broker that all tests of a package share. Main ends it.
func SharedKafka(tb testing.TB) *Kafka {
	tb.Helper()
	requireKafka(tb)
	k, err := sharedKafka()
	require.NoError(tb, err)
	return k
}

var (
	sharedStarted *Kafka
	sharedKafka   = sync.OnceValues(func() (*Kafka, error) {
		program, err := kafkaProgram()
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "openhqm-kafka")
		if err != nil {
			return nil, err
		}
		sharedStarted = &Kafka{program: program, dir: dir}
		return sharedStarted, sharedStarted.start(1, "CLIENT:PLAINTEXT", "")
	})
)

func newKafka(tb testing.TB) *Kafka {
	tb.Helper()
	return &Kafka{program: requireKafka(tb), dir: tb.TempDir()}
}

func requireKafka(tb testing.TB) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: this test needs a broker")
	}
	return requireProgram(tb, kafkaProgram)
}

// kafkaProgram gives the path of what runs the classes of Kafka, which it fetches at the first call.
var kafkaProgram = sync.OnceValues(func() (string, error) { return ensure("kafka") })

// Kill ends a broker, counted from 0, with SIGKILL, and waits until it is gone.
func (k *Kafka) Kill(broker int) {
	n := k.nodes[broker]
	if n.ended == nil {
		return
	}
	_ = n.process.Kill() // it may have ended
	<-n.ended
}

// Restart starts a broker that was killed, on its ports and with what it had on its disk, and waits until it serves.
func (k *Kafka) Restart(tb testing.TB, broker int) {
	tb.Helper()
	require.NoError(tb, k.launch(k.nodes[broker]))
	require.NoError(tb, k.awaitServing(k.nodes[broker]))
}

// Close kills all brokers; again it does nothing.
func (k *Kafka) Close() {
	for i := range k.nodes {
		k.Kill(i)
	}
}
