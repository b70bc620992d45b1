package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

// Names of the settings of a topic, see "Topic Configs" in Kafka's documentation.
const (
	retentionMillis  = "retention.ms"
	retentionBytes   = "retention.bytes"
	maxBatchBytes    = "max.message.bytes"
	minReplicas      = "min.insync.replicas"
	timestampType    = "message.timestamp.type"
	cleanupPolicy    = "cleanup.policy"
	appendTime       = "LogAppendTime"
	compact          = "compact" // alone, or "compact,delete": of messages with one key only the last one is kept
	unlimited        = int64(-1)
	defaultReplicas  = 3
	defaultBatchSize = 1 << 20 // bytes, max.message.bytes unless it is set
)

// batchOverhead is what a record batch of one message adds to its value and key at most: 61 bytes for the batch, and
// the attributes and lengths of the record. See "Record Batch" in Kafka's documentation.
const batchOverhead = 61 + 40

// prepare makes the topics that are missing and looks whether all will do. Brokers hear of topics that were made or
// deleted one after another, so it believes that one is missing only when ctx ends.
func (q *Queue) prepare(ctx context.Context) error {
	pause := carrier.NewBackoff()
	for {
		err := q.prepareOnce(ctx)
		if !topicMissing(err) {
			return err
		}
		pause.Wait(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("the topics do not appear: %w", translate(err))
		}
		q.cluster.forgetNow()
	}
}

func (q *Queue) prepareOnce(ctx context.Context) error {
	known, err := q.cluster.layout(ctx)
	if err != nil {
		return translate(err)
	}
	made := false
	var faults []error // one unusable topic does not keep the rest from being made
	for _, t := range q.cluster.all() {
		switch err := known.missing(t.name); {
		case topicMissing(err):
			made = true
			faults = append(faults, q.makeTopic(ctx, t.name, known.brokers))
		case errors.Is(err, kafka.TopicAuthorizationFailed):
			faults = append(faults, fmt.Errorf("topic %q cannot be described (permission DESCRIBE of the topic): %w",
				t.name, translate(err)))
		case err != nil:
			faults = append(faults, fmt.Errorf("topic %q cannot be described: %w", t.name, translate(err)))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if made {
		return kafka.UnknownTopicOrPartition // until the brokers have heard of it
	}
	return q.inspect(ctx, known)
}

func (q *Queue) makeTopic(ctx context.Context, topic string, brokers int) error {
	replicas := q.opts.ReplicationFactor
	if replicas == 0 {
		replicas = min(defaultReplicas, brokers)
	}
	answer, err := q.cluster.client().CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: q.opts.Partitions, ReplicationFactor: replicas,
		ConfigEntries: []kafka.ConfigEntry{
			{ConfigName: retentionMillis, ConfigValue: strconv.FormatInt(q.opts.Retention.Milliseconds(), 10)},
			{ConfigName: retentionBytes, ConfigValue: strconv.FormatInt(unlimited, 10)},
			{ConfigName: maxBatchBytes, ConfigValue: strconv.Itoa(max(q.batchLimit(), defaultBatchSize))},
			// One replica may be away, and no more.
			{ConfigName: minReplicas, ConfigValue: strconv.Itoa(max(1, min(replicas-1, 2)))},
			// Retention goes by it, whatever the clocks of producers say.
			{ConfigName: timestampType, ConfigValue: appendTime},
			// Whatever the brokers do by default.
			{ConfigName: cleanupPolicy, ConfigValue: "delete"},
		},
	}}})
	if err == nil {
		err = answer.Errors[topic]
	}
	switch {
	case err == nil:
		q.opts.Logger.Info("topic created", "topic", topic, "partitions", q.opts.Partitions, "replicas", replicas)
		return nil
	case errors.Is(err, kafka.TopicAlreadyExists): // by another process, a moment ago
		return nil
	case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
		return fmt.Errorf("topic %q does not exist, and this user may not create it "+
			"(permission CREATE of the topic or the cluster): %w", topic, translate(err))
	default:
		return fmt.Errorf("topic %q does not exist, and cannot be created: %w", topic, translate(err))
	}
}

// inspect reads how the topics are configured. Where that is not allowed, nothing is known.
func (q *Queue) inspect(ctx context.Context, known *layout) error {
	details := make(map[string]string)
	for _, t := range q.cluster.all() {
		topic := t.name
		settings, err := q.settings(ctx, topic)
		switch {
		case errors.Is(err, kafka.TopicAuthorizationFailed):
			details[topic] = "its settings cannot be read (permission DESCRIBE_CONFIGS of the topic)"
		case err != nil:
			return fmt.Errorf("read the settings of topic %q: %w", topic, translate(err))
		default:
			if err := q.judge(t, settings); err != nil {
				return err
			}
			if weakness := known.weakness(topic, settings); weakness != "" {
				details[topic] = weakness
			}
		}
	}
	if !maps.Equal(details, q.Details()) {
		for topic, text := range details {
			q.opts.Logger.Warn("a topic may lose messages that a 202 promises to keep; change its settings",
				"topic", topic, "reason", text)
		}
	}
	q.details.Store(&details)
	return nil
}

// weakness is why a message that is acknowledged may be lost with one broker, although other brokers could
// have it; "": it may not.
func (l *layout) weakness(topic string, s settings) string {
	inSync, _ := s.number(minReplicas)
	switch replicas := l.topics[topic].replicas; {
	case replicas == 1 && l.brokers > 1:
		return "it has 1 replica: one broker alone has each message, which is lost with that broker"
	case replicas > 1 && inSync == 1:
		return "min.insync.replicas is 1: a message that one broker alone has is acknowledged, " +
			"and is lost with that broker"
	default:
		return ""
	}
}

// settings are some of the settings of a topic, as Kafka writes them.
type settings map[string]string

// number returns a setting that is a number, and whether it is known.
func (s settings) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(s[name], 10, 64)
	return n, err == nil
}

// settings reads those of a topic.
func (q *Queue) settings(ctx context.Context, topic string) (settings, error) {
	answer, err := q.cluster.client().DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			ConfigNames: []string{retentionMillis, retentionBytes, minReplicas, maxBatchBytes, cleanupPolicy},
		}},
	})
	if err == nil {
		err = answer.Resources[0].Error
	}
	if err != nil {
		return nil, err
	}
	found := make(settings)
	for _, entry := range answer.Resources[0].ConfigEntries {
		found[entry.ConfigName] = entry.ConfigValue
	}
	return found, nil
}

// judge looks whether a topic with these settings will do.
func (q *Queue) judge(t topic, s settings) error {
	if policy := s[cleanupPolicy]; strings.Contains(policy, compact) {
		return fmt.Errorf("%w: topic %q has %s=%s, which deletes messages before they are read; it must be delete",
			ports.ErrMisconfigured, t.name, cleanupPolicy, policy)
	}
	kept, found := s.number(retentionMillis)
	if needed := q.opts.Retention; found && kept != unlimited && kept < needed.Milliseconds() {
		return fmt.Errorf("topic %q keeps messages for %s (%s), which must be at least %s",
			t.name, time.Duration(kept)*time.Millisecond, retentionMillis, needed)
	}
	if size, found := s.number(retentionBytes); found && size != unlimited {
		return fmt.Errorf("topic %q keeps %d bytes of a partition (%s), which must be %d: no limit",
			t.name, size, retentionBytes, unlimited)
	}
	if largest, found := s.number(maxBatchBytes); found && !t.foreign && largest < int64(q.batchLimit()) {
		return fmt.Errorf("topic %q accepts messages of %d bytes (%s), which must be at least %d",
			t.name, largest, maxBatchBytes, q.batchLimit())
	}
	return nil
}

// batchLimit is the largest record batch that we send, in bytes: Kafka's limit is one of batches, not of messages.
func (q *Queue) batchLimit() int { return q.opts.MaxMessage + batchOverhead + maxKey }

// maxKey is how long a key is at most: an id.
const maxKey = 128

// Details returns what weakens the promise of a 202, by topic.
func (q *Queue) Details() map[string]string {
	if details := q.details.Load(); details != nil {
		return *details
	}
	return nil
}

const (
	// repairPause is how long repair leaves things alone that it could not mend.
	repairPause = time.Second
	// repairTimeout bounds one try.
	repairTimeout = carrier.OpenTimeout
)

// repair makes topics that were deleted under us once more. Any number of callers may ask for it at once.
func (q *Queue) repair(ctx context.Context) error {
	asked := q.opts.Now()
	q.repairing.Lock()
	defer q.repairing.Unlock()
	if q.repaired.After(asked) || q.broken != nil && asked.Sub(q.repaired) < repairPause {
		return q.broken
	}
	q.cluster.forgetNow()
	trying, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	err := q.prepare(trying)
	if ctx.Err() != nil {
		return err // it says nothing about the topics
	}
	q.repaired, q.broken = q.opts.Now(), err
	return err
}

// repairError returns how repair ended when it last tried.
func (q *Queue) repairError() error {
	if !q.repairing.TryLock() {
		return fmt.Errorf("%w: a topic is missing and is being created", ports.ErrUnavailable)
	}
	defer q.repairing.Unlock()
	return q.broken
}
