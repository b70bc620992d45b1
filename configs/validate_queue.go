package configs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

func (q *Queue) validate(v *validator) {
	oneOf(v, "queue.type", q.Type, QueueTypes()...)
	q.validateNames(v)
	between(v, "queue.lease", q.Lease, time.Second, 12*time.Hour)
	between(v, "queue.max_deliveries", q.MaxDeliveries, 1, maxAttempts)
	between(v, "queue.max_depth", q.MaxDepth, 0, maxDepth)
}

// queueName is what may name a stream. Braces would change the hash slot of a Redis key.
var queueName = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,200}$`)

// highSuffixes are what is behind queue.requests in the name of what carries requests of high priority.
var highSuffixes = map[string]string{QueueKafka: ".high", QueueSQS: "-high"}

// validateNames holds the names apart: what is written to one must not come back by another.
func (q *Queue) validateNames(v *validator) {
	taken := map[string]string{}
	if suffix := highSuffixes[q.Type]; suffix != "" {
		taken[q.Requests+suffix] = "where requests of high priority are"
	}
	for _, n := range []struct{ key, value string }{
		{"queue.requests", q.Requests},
		{"queue.responses", q.Responses},
		{"queue.results_in", q.ResultsIn},
		{"queue.dead_letters", q.DeadLetters},
	} {
		optional := n.key != "queue.requests"
		switch {
		case n.value == "" && optional:
			continue
		case !queueName.MatchString(n.value):
			v.bad(n.key, "must be 1 to 200 of A-Z a-z 0-9 . _ : -")
		case q.Type == QueueKafka && !topicName.MatchString(n.value):
			v.bad(n.key, "must be 1 to 200 of A-Z a-z 0-9 . _ - to name a topic of Kafka")
		case q.Type == QueueSQS && strings.HasSuffix(n.value, ".fifo"):
			v.bad(n.key, "must not be a FIFO queue: those refuse delays of single messages, and drop a retry as a duplicate")
		case q.Type == QueueSQS && !sqsName.MatchString(n.value):
			v.bad(n.key, "must be 1 to 75 of A-Z a-z 0-9 _ - to name a queue of SQS")
		case taken[n.value] != "":
			v.bad(n.key, "is also "+taken[n.value]+"; they must be different")
		case optional && q.Type == QueueEmbedded:
			v.bad(n.key, "has no use with the embedded queue, which no other program can reach")
		}
		taken[n.value] = n.key
	}
}

func (s *Store) validate(v *validator) {
	oneOf(v, "store.type", s.Type, StoreAuto, StoreEmbedded, StoreRedis)
	between(v, "store.ttl", s.TTL, time.Second, maxDuration)
	between(v, "store.dead_letter_ttl", s.DeadLetterTTL, time.Second, maxDuration)
}

func (e *Embedded) validate(v *validator) {
	if e.Dir == "" {
		v.bad("embedded.dir", "must be the path of a directory")
	}
	between(v, "embedded.min_free", e.MinFree, 0, maxBytes)
}

// validate leaves the URL to ResolveRedis.
func (r *Redis) validate(v *validator) {
	if !r.URL.IsSet() {
		v.bad("redis.url", "is required")
	}
	between(v, "redis.wait_replicas", r.WaitReplicas, 0, maxReplicas)
	between(v, "redis.shards", r.Shards, 1, maxShards)
	r.TLS.validate(v, "redis.tls.", false)
}

// topicName is what may name a topic of Kafka, which allows 249 characters, or a group of ours. We put suffixes behind.
var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)

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

// UsesTLS tells it from the security protocol, and so does UsesSASL.
func (k *Kafka) UsesTLS() bool { return strings.HasSuffix(k.SecurityProtocol, KafkaSSL) }

// UsesSASL reports whether we tell Kafka who we are.
func (k *Kafka) UsesSASL() bool { return strings.HasPrefix(k.SecurityProtocol, "SASL_") }

// sqsName is what may name a queue of SQS, which allows 80 characters. We put a suffix behind.
var sqsName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,75}$`)

func (s *SQS) validate(v *validator) {
	if s.Endpoint != "" {
		validateURL(v, "sqs.endpoint", s.Endpoint)
	}
}

// Bounds of Amazon SQS (Developer Guide, "Quotas"): a message stays 14 days at most, and 12 h with whoever received it.
const (
	sqsMaxAge     = 13 * 24 * time.Hour
	sqsMaxTimeout = 11 * time.Hour
)

// validateSQS checks what SQS cannot do.
func (c *Config) validateSQS(v *validator) {
	if c.Queue.Type != QueueSQS {
		return
	}
	if c.Request.MaxAge > sqsMaxAge {
		v.bad("request.max_age", "must be at most 312h with SQS, which keeps messages for 14 days")
	}
	tooLong := "must be at most 11h with SQS, which lends a message for 12h"
	if c.Worker.Timeout > sqsMaxTimeout {
		v.bad("worker.timeout", tooLong)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Proxy.Endpoints)) {
		if t := c.Proxy.Endpoints[name].Timeout; t > sqsMaxTimeout && t != c.Worker.Timeout {
			v.bad("proxy.endpoints."+name+".timeout", tooLong)
		}
	}
	if c.Queue.Lease > sqsMaxTimeout || c.Queue.Lease%time.Second != 0 {
		v.bad("queue.lease", "must be whole seconds up to 11h with SQS, which lends a message for 12h")
	}
}

// validateRemembering wants results to outlive messages that a broker hands out once more: about as long as it takes to
// miss a worker, and what that had not told the broker yet.
func (c *Config) validateRemembering(v *validator) {
	missed := map[string]time.Duration{QueueKafka: c.Kafka.SessionTimeout, QueueSQS: c.Queue.Lease}[c.Queue.Type]
	if missed > 0 && c.Store.TTL < missed+time.Minute {
		v.bad("store.ttl", "must be at least "+formatDuration(missed+time.Minute)+" with queue.type \""+c.Queue.Type+
			"\": the broker may hand a message out once more, and the result says that it is done")
	}
}

// validateDivision checks that queue, store and roles go together.
func (c *Config) validateDivision(v *validator) {
	if !v.fine("queue.type", "store.type", "role") {
		return
	}
	if goesWith := storeOf(c.Queue.Type); c.Store.Type != goesWith {
		v.bad("store.type", `must be auto or "`+goesWith+`" with queue.type "`+c.Queue.Type+`"`)
	}
	if c.Queue.Type == QueueEmbedded && c.Role != RoleAll {
		v.bad("role", `must be "all": the embedded queue and store belong to one process`)
	}
	if !c.Queue.HandsOver() || c.Queue.Type == QueueEmbedded {
		return
	}
	if c.Role != RoleAPI {
		v.bad("queue.results_in", `needs role "api": with it the requests are for somebody else's consumers`)
	}
	if c.Queue.Type == QueueRedis && c.Redis.Shards > 1 {
		v.bad("redis.shards", "must be 1 with queue.results_in: other programs read one stream")
	}
}

// storeOf gives the store that goes with a queue.
func storeOf(queue string) string {
	if queue == QueueEmbedded {
		return StoreEmbedded
	}
	return StoreRedis
}
