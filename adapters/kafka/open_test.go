package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give func(*kafka.Options)
		want string
	}{
		{"no broker", func(o *kafka.Options) { o.Brokers = nil }, "kafka.brokers"},
		{"no topic", func(o *kafka.Options) { o.Topic = "" }, "queue.requests"},
		{"no group", func(o *kafka.Options) { o.Group = "" }, "kafka.group"},
		{"an unknown mechanism", func(o *kafka.Options) { o.SASL.Mechanism = "GSSAPI" }, "GSSAPI"},
		{"nobody listens", func(*kafka.Options) {}, "connection refused"},
	}
	refused := testkit.NewPort(t).Address
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := options(t, []string{refused})
			tt.give(&opts)
			_, err := kafka.Open(t.Context(), opts)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestOpenNamesTheBrokerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent := testkit.NewPort(t)
	listener := silent.Listen()
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	_, err := kafka.Open(t.Context(), options(t, []string{silent.Address}))
	require.ErrorContains(t, err, silent.Address)
}

func TestATopicThatForgetsTooSoonIsRefused(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	tests := []struct {
		name    string
		setting string
		value   string
		want    string // in the error; "": there is none
	}{
		{"retention is too short", "retention.ms", "3600000", "1h0m0s (retention.ms), which must be at least 96h0m0s"},
		{"retention is longer", "retention.ms", "604800000", ""},
		{"retention has no end", "retention.ms", "-1", ""},
		{"bytes are limited", "retention.bytes", "1000000", "retention.bytes"},
		{"only the last of a key is kept", "cleanup.policy", "compact", "cleanup.policy=compact,"},
		{"likewise, for a while", "cleanup.policy", "compact,delete", "cleanup.policy=compact,delete,"},
		{"messages must be small", "max.message.bytes", "1000", "max.message.bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := options(t, brokers)
			opts.MaxMessage = 500_000
			makeTopic(t, brokers, opts.Topic, kafkago.ConfigEntry{ConfigName: tt.setting, ConfigValue: tt.value})
			q, err := kafka.Open(t.Context(), opts)
			if tt.want == "" {
				require.NoError(t, err)
				require.NoError(t, q.Close())
				return
			}
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, opts.Topic)
		})
	}
}

func makeTopic(t *testing.T, brokers []string, topic string, settings ...kafkago.ConfigEntry) {
	t.Helper()
	answer, err := admin(t, brokers).CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
		Topic: topic, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: settings,
	}}})
	require.NoError(t, err)
	require.NoError(t, answer.Errors[topic])
}

func TestPartitionsThatAreAddedAreConsumed(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	q := open(t, opts)
	publish(t, q, messages(domain.LaneLow, 10))
	settle(q, receive(t, q, 10)...)
	answer, err := admin(t, brokers).CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{
		Topics: []kafkago.TopicPartitionsConfig{{Name: opts.Topic, Count: 9}},
	})
	require.NoError(t, err)
	require.NoError(t, answer.Errors[opts.Topic])
	kafka.Forget(q)
	sent := messages(domain.LaneLow, 200)
	publish(t, q, sent)
	got := receive(t, q, len(sent))
	places := make(map[string]bool)
	for _, r := range got {
		places[r.Place] = true
	}
	require.Len(t, places, len(sent))
	settle(q, got...)
	settled(t, q)
}

func TestASecureBroker(t *testing.T) {
	t.Parallel()
	certificate, key, pool := authority(t)
	broker := testkit.StartSecureKafka(t, certificate, key)
	secure := func(t *testing.T, mechanism, user string) kafka.Options {
		opts := options(t, broker.Brokers)
		opts.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		opts.SASL = kafka.SASL{Mechanism: mechanism, Username: user, Password: testkit.KafkaUsers[user]}
		return opts
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			q := open(t, secure(t, mechanism, testkit.KafkaAdmin))
			sent := messages(domain.LaneHigh, 20)
			publish(t, q, sent)
			settle(q, receive(t, q, len(sent))...)
			settled(t, q)
			healthy(t, q)

			opts := secure(t, mechanism, testkit.KafkaAdmin)
			opts.SASL.Password = "no-such-secret"
			_, err := kafka.Open(t.Context(), opts)
			require.ErrorContains(t, err, "does not accept this user")
			require.ErrorContains(t, err, broker.Brokers[0])
			require.NotContains(t, err.Error(), "no-such-secret")
		})
	}
	t.Run("another password, and back", func(t *testing.T) {
		t.Parallel()
		opts := secure(t, "SCRAM-SHA-512", testkit.KafkaAdmin)
		q := open(t, opts)
		publish(t, q, messages(domain.LaneLow, 1))

		wrong := opts.SASL
		wrong.Password = "no-such-secret"
		require.NoError(t, q.Renew(opts.TLS, wrong))
		err := q.Publish(t.Context(), messages(domain.LaneLow, 1))[0]
		require.ErrorIs(t, err, ports.ErrUnavailable)
		require.NotContains(t, err.Error(), "no-such-secret")
		require.Error(t, q.Renew(opts.TLS, kafka.SASL{Mechanism: "GSSAPI"}))

		require.NoError(t, q.Renew(opts.TLS, opts.SASL))
		publish(t, q, messages(domain.LaneLow, 1))
		got := receive(t, q, 2)
		settle(q, got...)
		settled(t, q)
	})
	t.Run("an authority that nobody knows", func(t *testing.T) {
		t.Parallel()
		opts := secure(t, "PLAIN", testkit.KafkaAdmin)
		opts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		_, err := kafka.Open(t.Context(), opts)
		require.ErrorContains(t, err, "certificate signed by unknown authority")
	})
	t.Run("a user who may do what is needed", func(t *testing.T) {
		t.Parallel()
		requireLeastRights(t, secure(t, "SCRAM-SHA-512", "scram"))
	})
	t.Run("a user who may not make topics", func(t *testing.T) {
		t.Parallel()
		opts := secure(t, "PLAIN", "plain")
		_, err := kafka.Open(t.Context(), opts)
		require.ErrorContains(t, err, "permission DESCRIBE")
		require.ErrorContains(t, err, opts.Topic)

		allowed := secure(t, "PLAIN", testkit.KafkaAdmin)
		for _, topic := range []string{opts.Topic, opts.Topic + ".high"} {
			allow(t, broker.Brokers, allowed.TLS, kafkago.ACLEntry{
				ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, Principal: "User:plain",
				ResourcePatternType: kafkago.PatternTypeLiteral, Operation: kafkago.ACLOperationTypeDescribe,
			})
		}
		until(t, "the broker has heard of what is allowed", func() bool {
			_, err = kafka.Open(t.Context(), opts)
			return !strings.Contains(err.Error(), "permission DESCRIBE")
		})
		require.ErrorContains(t, err, "permission CREATE")
		require.ErrorContains(t, err, opts.Topic)
	})
}

// authority makes a certificate for 127.0.0.1 that is an authority of its own, its key, and a pool that trusts it.
func authority(t *testing.T) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(chain))
	return string(chain), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), pool
}
