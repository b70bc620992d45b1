package configs

import (
	"regexp"
	"strings"
	"time"
)

// Kafka says how to reach Apache Kafka, and how to create topics. The store beside it is Redis.
type Kafka struct {
	Brokers           []string      `koanf:"brokers"`            // host:port, at least one
	Group             string        `koanf:"group"`              // the consumer group of the workers
	Partitions        int           `koanf:"partitions"`         // of a topic that we create
	ReplicationFactor int           `koanf:"replication_factor"` // of a topic that we create; 0: 3, or fewer brokers
	SessionTimeout    time.Duration `koanf:"session_timeout"`    // after which other workers take over from a silent one
	SecurityProtocol  string        `koanf:"security_protocol"`  // KafkaPlaintext to KafkaSASLSSL
	SASL              SASL          `koanf:"sasl"`               // only with a protocol that begins with SASL
	TLS               TLS           `koanf:"tls"`                // only with a protocol that ends with SSL
}

// The security protocols, in Kafka's own words (security.protocol).
const (
	KafkaPlaintext     = "PLAINTEXT"
	KafkaSSL           = "SSL"
	KafkaSASLPlaintext = "SASL_PLAINTEXT"
	KafkaSASLSSL       = "SASL_SSL"
)

// SASL says which user we are to Kafka.
type SASL struct {
	Mechanism string `koanf:"mechanism"` // SASLPlain to SASLScram512
	Username  string `koanf:"username"`
	Password  Secret `koanf:"password"`
}

// The SASL mechanisms (RFC 4616, RFC 5802 and RFC 7677).
const (
	SASLPlain    = "PLAIN"
	SASLScram256 = "SCRAM-SHA-256"
	SASLScram512 = "SCRAM-SHA-512"
)

// UsesTLS reports whether the security protocol has TLS.
func (k *Kafka) UsesTLS() bool { return strings.HasSuffix(k.SecurityProtocol, KafkaSSL) }

// UsesSASL reports whether the security protocol has a user.
func (k *Kafka) UsesSASL() bool { return strings.HasPrefix(k.SecurityProtocol, "SASL_") }

// topicName is what may name a topic of Kafka, which allows 249 characters, or a group of ours. We append suffixes.
var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)

func topicFault(name string) string {
	if !topicName.MatchString(name) {
		return "must be 1 to 200 of A-Z a-z 0-9 . _ - to name a topic of Kafka"
	}
	return ""
}

func (k *Kafka) validate(v *validator) {
	if len(k.Brokers) == 0 {
		v.bad("kafka.brokers", "must name a broker, for instance localhost:9092")
	}
	for _, broker := range k.Brokers {
		if !validAddress(broker) {
			v.badValue("kafka.brokers", quote(broker), "must be host:port")
		}
	}
	if !topicName.MatchString(k.Group) {
		v.bad("kafka.group", "must be 1 to 200 of A-Z a-z 0-9 . _ -")
	}
	between(v, "kafka.partitions", k.Partitions, 1, maxPartitions)
	between(v, "kafka.replication_factor", k.ReplicationFactor, 0, maxReplicas)
	between(v, "kafka.session_timeout", k.SessionTimeout, time.Second, 30*time.Minute)
	oneOf(v, "kafka.security_protocol", k.SecurityProtocol, KafkaPlaintext, KafkaSSL, KafkaSASLPlaintext, KafkaSASLSSL)
	k.TLS.validate(v, "kafka.tls.", false)
	if v.fine("kafka.security_protocol") {
		k.validateSecurity(v)
	}
}

func (k *Kafka) validateSecurity(v *validator) {
	if k.TLS != (TLS{}) && !k.UsesTLS() {
		v.bad("kafka.security_protocol", "must be SSL or SASL_SSL, because kafka.tls is set")
	}
	oneOf(v, "kafka.sasl.mechanism", k.SASL.Mechanism, SASLPlain, SASLScram256, SASLScram512)
	switch {
	case k.UsesSASL() && k.SASL.Username == "":
		v.bad("kafka.sasl.username", "is required with "+k.SecurityProtocol)
	case !k.UsesSASL() && (k.SASL.Username != "" || k.SASL.Password.IsSet()):
		v.bad("kafka.security_protocol", "must begin with SASL, because kafka.sasl is set")
	}
}

// ResolveKafka returns kafka.sasl.password, and checks that the files of kafka.tls can be used. It is for processes
// that use Kafka. Its error is an *Error that never repeats the password.
func (c *Config) ResolveKafka() (string, error) {
	check := secretCheck{origins: c.origins}
	password := c.resolveKafka(&check)
	return password, check.report.err()
}

func (c *Config) resolveKafka(check *secretCheck) string {
	password, err := c.Kafka.SASL.Password.Resolve()
	switch {
	case err != nil:
		check.bad("kafka.sasl.password", err.Error())
	case c.Kafka.UsesSASL() && password == "":
		check.bad("kafka.sasl.password", "resolves to an empty value")
	}
	check.tls("kafka.tls.", c.Kafka.TLS)
	return password
}

// Files returns the files that hold the password and the certificates; see Endpoint.Files.
func (k *Kafka) Files() []string { return append(k.SASL.Password.files(), k.TLS.files()...) }

func (k *Kafka) asciiNames() {
	for i, broker := range k.Brokers {
		k.Brokers[i] = asciiAddress(broker)
	}
	k.TLS.ServerName = asciiHost(k.TLS.ServerName)
}
