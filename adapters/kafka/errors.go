package kafka

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/openhqm/openhqm/ports"
)

// refusal is a kind of error that Kafka answers with.
type refusal struct {
	codes codes
	port  error
	text  string
}

type codes []kafka.Error

var refusals = []refusal{
	{
		codes{kafka.MessageSizeTooLarge, kafka.RecordListTooLarge},
		ports.ErrTooLarge,
		"kafka refuses messages of that size",
	},
	{
		codes{kafka.TopicAuthorizationFailed},
		ports.ErrRefused,
		"kafka does not allow this user to use the topic",
	},
	{
		codes{kafka.GroupAuthorizationFailed},
		ports.ErrRefused,
		"kafka does not allow this user to use the group",
	},
	{
		codes{kafka.ClusterAuthorizationFailed},
		ports.ErrRefused,
		"kafka does not allow this user to do that",
	},
	{
		codes{kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism},
		ports.ErrRefused,
		"kafka does not accept this user, password or mechanism",
	},
	{
		codes{kafka.UnknownTopicOrPartition},
		ports.ErrUnavailable,
		"the topic or partition does not exist",
	},
	{
		codes{kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend},
		ports.ErrUnavailable,
		"kafka has fewer replicas in sync than min.insync.replicas asks for",
	},
	{
		codes{kafka.LeaderNotAvailable, kafka.NotLeaderForPartition},
		ports.ErrUnavailable,
		"the partition has no leader, or its leader has changed",
	},
}

// translate makes an error of a port of what kafka-go or Kafka say. It is called once for each of their errors.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if code, answered := errors.AsType[kafka.Error](err); answered {
		for _, t := range refusals {
			if slices.Contains(t.codes, code) {
				return fmt.Errorf("%w: %s (%w)", t.port, t.text, err)
			}
		}
		if hopeless(err) {
			return fmt.Errorf("%w: kafka answered: %w", ports.ErrRefused, err)
		}
		return fmt.Errorf("%w: kafka answered: %w", ports.ErrUnavailable, err)
	}
	if errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%w: the connection to kafka was closed: %w", ports.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: kafka: %w", ports.ErrUnavailable, err)
}

// lasting are the errors that the same message gets until an operator changes something.
var lasting = codes{
	kafka.MessageSizeTooLarge, kafka.RecordListTooLarge, kafka.InvalidRecord, kafka.InvalidTimestamp,
	kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.SASLAuthenticationFailed,
	kafka.UnsupportedSASLMechanism, kafka.InvalidTopic, kafka.InvalidRequiredAcks, kafka.PolicyViolation,
	kafka.UnsupportedVersion, kafka.UnsupportedForMessageFormat, kafka.InvalidRequest,
}

// hopeless reports whether it is no use to send a message again.
func hopeless(err error) bool {
	code, answered := errors.AsType[kafka.Error](err)
	return answered && slices.Contains(lasting, code)
}

// forbidden reports whether an error is about a permission for a part of the work.
func forbidden(err error) bool {
	code, answered := errors.AsType[kafka.Error](err)
	return answered && slices.Contains(permissions, code)
}

var permissions = codes{
	kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed,
}

// topicError says that a topic may not be written.
type topicError struct {
	topic string
	err   error // of a port
}

func (e *topicError) Error() string {
	return fmt.Sprintf("topic %q cannot be written: %v", e.topic, e.err)
}

func (e *topicError) Unwrap() error { return e.err }

// ofTopic returns a function that reports whether an error is a topicError of that topic.
func ofTopic(topic string) func(error) bool {
	return func(err error) bool {
		of, ok := errors.AsType[*topicError](err)
		return ok && of.topic == topic
	}
}

// refused returns what Kafka refuses of the work: first what stops requests.
func (q *Queue) refused() error {
	beside := error(nil)
	for _, err := range q.refusals.Standing() {
		of, ok := errors.AsType[*topicError](err)
		if !ok || slices.Contains(q.topics[:], of.topic) {
			return err
		}
		beside = ports.Degraded(err.Error())
	}
	return beside
}

// topicMissing reports whether an error says that a topic is not there.
func topicMissing(err error) bool {
	return errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic)
}
