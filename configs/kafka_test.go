package configs

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheDefaultsOfKafka(t *testing.T) {
	t.Parallel()
	require.Equal(t, Kafka{
		Brokers: []string{"localhost:9092"}, Group: "openhqm-workers", Partitions: 12,
		SessionTimeout: 10 * time.Second, SecurityProtocol: KafkaPlaintext, SASL: SASL{Mechanism: SASLPlain},
	}, loadYAML(t, "").Kafka)
}

func TestNumbersOutOfRangeAreRefusedForKafka(t *testing.T) {
	t.Parallel()
	checkRanges(t, []numberRange{
		{"kafka.partitions", "1", "0", "10000", "10001", "1 to 10000"},
		{"kafka.replication_factor", "0", "-1", "100", "101", "0 to 100"},
		{"kafka.session_timeout", "1s", "999ms", "30m", "31m", "1s to 30m"},
	})
}

func TestRulesOfKafka(t *testing.T) {
	t.Parallel()
	checkRules(t, []rule{
		{give: "{queue: {type: kafka, requests: a, responses: a.high, dead_letters: a-high}}", want: []string{
			`f.yaml:1: queue.responses: "a.high": is also where requests of high priority are; they must be different`,
		}},
		{give: "{queue: {type: kafka}, kafka: {session_timeout: 20s}, store: {ttl: 80s}}"},
		{give: "{queue: {type: kafka}, kafka: {session_timeout: 20s}, store: {ttl: 79s}}", want: []string{
			`f.yaml:1: store.ttl: "79s": must be at least 1m20s with queue.type "kafka": the broker may hand a message out ` +
				"once more, and the result says that it is done",
		}},
		{give: "queue: {type: kafka, requests: 'a:b', responses: a.b}", want: []string{
			`f.yaml:1: queue.requests: "a:b": must be 1 to 200 of A-Z a-z 0-9 . _ - to name a topic of Kafka`,
		}},
		{give: "{role: worker, queue: {type: kafka}, store: {type: redis}}"},
		{give: "{queue: {type: kafka}, store: {type: embedded}}", want: []string{
			`f.yaml:1: store.type: "embedded": must be auto or "redis" with queue.type "kafka"`,
		}},
		{give: "kafka: {brokers: []}", want: []string{
			`f.yaml:1: kafka.brokers: must name a broker, for instance localhost:9092`,
		}},
		{give: "kafka: {brokers: [a, 'b:9092'], group: ''}", want: []string{
			`f.yaml:1: kafka.brokers: "a": must be host:port`,
			`f.yaml:1: kafka.group: "": must be 1 to 200 of A-Z a-z 0-9 . _ -`,
		}},
		{give: "kafka: {security_protocol: SASL_SSL, sasl: {username: u, password: p}, tls: {server_name: a}}"},
		{give: "kafka: {security_protocol: ssl, sasl: {mechanism: GSSAPI}}", want: []string{
			`f.yaml:1: kafka.security_protocol: "ssl": must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL`,
		}},
		{give: "kafka: {security_protocol: SASL_SSL, sasl: {mechanism: GSSAPI}}", want: []string{
			`f.yaml:1: kafka.sasl.mechanism: "GSSAPI": must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512`,
			`default: kafka.sasl.username: "": is required with SASL_SSL`,
		}},
		{give: "kafka: {tls: {server_name: a}}", want: []string{
			`default: kafka.security_protocol: "PLAINTEXT": must be SSL or SASL_SSL, because kafka.tls is set`,
		}},
		{give: "kafka: {sasl: {username: u}}", want: []string{
			`default: kafka.security_protocol: "PLAINTEXT": must begin with SASL, because kafka.sasl is set`,
		}},
	})
}

func TestResolveKafka(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		give string // the section
		want string // the password
		err  string
	}{
		"the default": {give: "group: g"},
		"a variable": {
			give: "{security_protocol: SASL_SSL, sasl: {username: u, password: '${PASSWORD}'}}", want: "s3cret",
		},
		"a variable that is not set": {
			give: "{security_protocol: SASL_SSL, sasl: {username: u, password: 's3c${MISSING}'}}",
			err:  "kafka.sasl.password: needs variables that are not set: MISSING",
		},
		"no password": {
			give: "{security_protocol: SASL_SSL, sasl: {username: u, password: '${EMPTY}'}}",
			err:  "kafka.sasl.password: resolves to an empty value",
		},
		"missing files": {
			give: "{security_protocol: SSL, tls: {ca_file: /none}}",
			err:  "kafka.tls.ca_file: stat /none: no such file or directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, "f.yaml", "kafka:\n  "+test.give)
			config, _, err := Load(Sources{File: file, Environ: []string{"PASSWORD=s3cret", "EMPTY="}})
			require.NoError(t, err)
			got, err := config.ResolveKafka()
			if test.err == "" {
				require.NoError(t, err)
				require.Equal(t, test.want, got)
				return
			}
			require.EqualError(t, err, "configuration: 1 fault\n  "+file+":2: "+test.err)
			require.NotContains(t, err.Error(), "s3c")
		})
	}
}

func TestTheExampleForKafka(t *testing.T) {
	t.Parallel()
	config := loadExample(t, QueueKafka)
	require.True(t, config.Kafka.UsesTLS())
	password, err := config.ResolveKafka()
	require.NoError(t, err)
	require.Equal(t, "s3cret", password)
}

// composeKafkaFile goes on top of composeRedisFile.
const composeKafkaFile = "deploy/compose-kafka.yaml"

func TestTheComposeFileWithKafkaAddsItToRedis(t *testing.T) {
	t.Parallel()
	below, services := composed(t, composeRedisFile), composed(t, composeKafkaFile)
	require.Len(t, services, 3)
	for name, role := range map[string]string{"api": RoleAPI, "worker": RoleWorker} {
		service := below[name]
		maps.Copy(service.Environment, services[name].Environment) // as compose merges the files
		config := service.runsTheImage(t)
		require.Equal(t, role, config.Role)
		require.Equal(t, QueueKafka, config.Queue.Type)
		require.Equal(t, []string{"kafka:9092"}, config.Kafka.Brokers)
		require.Equal(t, "service_healthy", services[name].Needs["kafka"].Condition)
	}
	kafka := services["kafka"]
	require.Empty(t, kafka.Ports)
	require.Equal(t, []string{"kafka:" + kafka.Environment["KAFKA_LOG_DIRS"]}, kafka.Volumes)
	require.Equal(t, "PLAINTEXT://kafka:9092", kafka.Environment["KAFKA_ADVERTISED_LISTENERS"])
	// A 202 must outlive a power cut, with one broker too.
	require.Equal(t, "1", kafka.Environment["KAFKA_LOG_FLUSH_INTERVAL_MESSAGES"])
}

func TestTheLeaseAndTheHighLaneOfKafka(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, "{queue: {type: kafka, lease: 20s, requests: a}, kafka: {session_timeout: 7s}}")
	require.Equal(t, 7*time.Second, config.Lease())
	require.Equal(t, "a.high", config.HighRequests())
}

func TestNamesAndFilesOfKafka(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", `
kafka:
  brokers: ["bücher.test:9092", "a_b:9092"]
  security_protocol: SASL_SSL
  sasl: {username: u, password: file:/password}
  tls: {ca_file: /ca, server_name: bücher.test}
`)
	config, _, err := Load(Sources{File: file})
	require.NoError(t, err)
	require.Equal(t, []string{"xn--bcher-kva.test:9092", "a_b:9092"}, config.Kafka.Brokers)
	require.Equal(t, "xn--bcher-kva.test", config.Kafka.TLS.ServerName)
	require.Equal(t, []string{"/password", "/ca"}, config.Kafka.Files())

	_, _, err = Load(Sources{Flags: map[string]string{"kafka.brokers": "bücher_1.test:9092"}})
	require.ErrorContains(t, err, "must be host:port")
}

func TestOldNamesOfKafka(t *testing.T) {
	t.Parallel()
	const kafka = "OPENHQM_QUEUE__TYPE=kafka"
	checkOldNames(t, []oldCase{
		{
			give:  []string{kafka, "OPENHQM_QUEUE__KAFKA_BOOTSTRAP_SERVERS=a:1,b:2"},
			get:   func(c Config) any { return c.Kafka.Brokers },
			want:  []string{"a:1", "b:2"},
			warns: []string{"OPENHQM_QUEUE__KAFKA_BOOTSTRAP_SERVERS" + isOld + "KAFKA_BROKERS"},
		},
		{
			give:  []string{kafka, "OPENHQM_QUEUE__KAFKA_CONSUMER_GROUP=g"},
			get:   func(c Config) any { return c.Kafka.Group },
			want:  "g",
			warns: []string{"OPENHQM_QUEUE__KAFKA_CONSUMER_GROUP" + isOld + "KAFKA_GROUP"},
		},
		{
			give: []string{"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_QUEUE__KAFKA_CONSUMER_GROUP=g"},
			get:  func(c Config) any { return c.Sets("kafka.group") },
			want: false,
			warns: []string{"OPENHQM_QUEUE__KAFKA_CONSUMER_GROUP: is an old name of kafka.group, which has no effect with " +
				`queue.type "redis"; set queue.type to use another queue`},
		},
	})
}

func TestResolveChecksKafkaWhereItIsUsed(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", `
kafka:
  security_protocol: SASL_SSL
  sasl: {username: u, password: "${MISSING}"}
  tls: {ca_file: `+write(t, "text", "no PEM")+`}
`)
	load := func(queue string) error {
		config, _, err := Load(Sources{File: file, Flags: map[string]string{"queue.type": queue}})
		require.NoError(t, err)
		return config.Resolve()
	}
	require.NoError(t, load(QueueRedis))
	require.EqualError(t, load(QueueKafka), "configuration: 2 faults\n  "+
		file+":4: kafka.sasl.password: needs variables that are not set: MISSING\n  "+
		file+":5: kafka.tls.ca_file: holds no certificate in PEM")
}
