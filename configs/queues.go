package configs

import (
	"slices"
	"time"
)

// The types of queue. The embedded queue lives in this process's own files; the others need a server.
const (
	QueueEmbedded = "embedded"
	QueueRedis    = "redis"
	QueueKafka    = "kafka"
	QueueSQS      = "sqs"
)

// Sections are the parts of the configuration that belong to one queue or store each.
type Sections struct {
	Embedded Embedded `koanf:"embedded"`
	Redis    Redis    `koanf:"redis"`
	Kafka    Kafka    `koanf:"kafka"`
	SQS      SQS      `koanf:"sqs"`
}

// queueType is all that the configuration knows of one type of queue. A new queue is a row in queueTypes, and a section
// where it has keys of its own.
type queueType struct {
	name    string
	store   string                  // the store.type that goes with it
	section func(*Config) validated // its own part of the configuration; nil: it has no keys of its own

	// private: the queue belongs to one process, so it needs role all, and no other program reads or writes it.
	private bool

	// highSuffix follows queue.requests in the name of what carries requests of high priority; empty: there is no such.
	highSuffix string

	// nameFault says why something cannot be named like that, or ""; nil: there is no rule but the general one.
	nameFault func(name string) string

	// lease is how long the broker waits before it hands out again what a silent worker holds; nil: queue.lease, and
	// handing out is not up to a broker.
	lease func(*Config) time.Duration

	maxAge       limit // of request.max_age
	maxLease     limit // of queue.lease and of every timeout of an attempt
	wholeSeconds bool  // of queue.lease

	servers func(*Config) []string // that carry the messages, as they are named; nil: those of the store

	resolve func(*Config, *secretCheck) // checks its own secrets and files; nil: it has none

	old []oldName // names that variables had for its keys

	// handover says what else is needed to hand requests over to other programs; nil: nothing.
	handover func(*Config, *validator)
}

// validated is a section that checks itself.
type validated interface{ validate(v *validator) }

// limit is the largest value that a queue can do, and why; zero: there is none.
type limit struct {
	most time.Duration
	with string // "SQS, which keeps messages for 14 days"
}

// storeRedis is the store of every queue that processes share.
const storeRedis = "redis"

var queueTypes = []queueType{
	{
		name: QueueEmbedded, store: "embedded", private: true,
		section: func(c *Config) validated { return &c.Embedded },
	},
	{
		name: QueueRedis, store: storeRedis,
		section:  func(c *Config) validated { return &c.Redis },
		handover: handoverOnRedis,
	},
	{
		name: QueueKafka, store: storeRedis, highSuffix: ".high", nameFault: topicFault,
		section: func(c *Config) validated { return &c.Kafka },
		lease:   func(c *Config) time.Duration { return c.Kafka.SessionTimeout },
		servers: func(c *Config) []string { return c.Kafka.Brokers },
		resolve: func(c *Config, check *secretCheck) { c.resolveKafka(check) },
		old:     kafkaOldNames,
	},
	// Amazon SQS Developer Guide, "Quotas": a message is kept for 14 days and stays with its receiver for 12 h at most. A
	// day and an hour are left for what happens around a request.
	{
		name: QueueSQS, store: storeRedis, highSuffix: "-high", nameFault: sqsNameFault,
		section:      func(c *Config) validated { return &c.SQS },
		lease:        func(c *Config) time.Duration { return c.Queue.Lease },
		servers:      func(c *Config) []string { return []string{c.SQS.Region, c.SQS.Endpoint} },
		maxAge:       limit{13 * 24 * time.Hour, "SQS, which keeps messages for 14 days"},
		maxLease:     limit{11 * time.Hour, "SQS, which lends a message for 12h"},
		wholeSeconds: true,
		old:          sqsOldNames,
	},
}

// QueueTypes lists the values of queue.type.
func QueueTypes() []string {
	names := make([]string, len(queueTypes))
	for i, q := range queueTypes {
		names[i] = q.name
	}
	return names
}

// queueType returns the row of queue.type; false if there is none.
func (c *Config) queueType() (queueType, bool) {
	i := slices.IndexFunc(queueTypes, func(q queueType) bool { return q.name == c.Queue.Type })
	if i < 0 {
		return queueType{}, false
	}
	return queueTypes[i], true
}

// Servers returns the names of the servers that carry the messages of queue.type; none if the store does.
func (c *Config) Servers() []string {
	q, known := c.queueType()
	if !known || q.servers == nil {
		return nil
	}
	return q.servers(c)
}

// Lease returns how long requests stay with a worker that gives no sign of life.
func (c *Config) Lease() time.Duration {
	if q, _ := c.queueType(); q.lease != nil {
		return q.lease(c)
	}
	return c.Queue.Lease
}

// HighRequests returns the name of what carries requests of high priority. It equals queue.requests where the queue
// keeps both lanes under one name.
func (c *Config) HighRequests() string {
	q, _ := c.queueType()
	return c.Queue.Requests + q.highSuffix
}
