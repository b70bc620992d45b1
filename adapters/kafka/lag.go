package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/openhqm/openhqm/ports"
)

// lagBytes bounds what a broker shows of a partition to tell how old its first message is, and lagAnswer what it shows
// of all.
const (
	lagBytes  = 16 << 10
	lagAnswer = 8 << 20
)

// Lag asks every broker that leads a partition of ours, with one request each, and the coordinator of the group. It
// counts what lies after the offsets that the group has committed.
func (q *Queue) Lag(ctx context.Context) (ports.Lag, error) {
	if q.ctx.Err() != nil {
		return ports.Lag{}, ports.ErrClosed
	}
	known, err := q.cluster.layout(ctx)
	if err != nil {
		return ports.Lag{}, translate(err)
	}
	committed, err := q.committed(ctx, known)
	if err != nil {
		return ports.Lag{}, translate(err)
	}
	requests, err := lagRequests(known, committed)
	if err != nil {
		return ports.Lag{}, err
	}
	var lag ports.Lag
	for _, req := range requests {
		if err := q.addLag(ctx, &lag, req); err != nil {
			return ports.Lag{}, err
		}
	}
	return lag, nil
}

// committed gives what the group has committed, by topic and partition; what it never has is negative.
func (q *Queue) committed(ctx context.Context, known *layout) (map[string][]kafka.OffsetFetchPartition, error) {
	req := &kafka.OffsetFetchRequest{GroupID: q.opts.Group, Topics: make(map[string][]int)}
	for _, topic := range q.topics {
		for id := range known.partitions(topic) {
			req.Topics[topic] = append(req.Topics[topic], id)
		}
	}
	if len(req.Topics) == 0 {
		return nil, kafka.UnknownTopicOrPartition
	}
	answer, err := q.cluster.client().OffsetFetch(ctx, req)
	if err != nil {
		return nil, err
	}
	return answer.Topics, answer.Error
}

// lagRequests makes one request for each broker.
func lagRequests(
	known *layout, committed map[string][]kafka.OffsetFetchPartition,
) (map[int32]*fetch.Request, error) {
	requests := make(map[int32]*fetch.Request)
	for topic, partitions := range committed {
		seen := make(map[int32]bool) // brokers that have this topic in their request
		for _, p := range partitions {
			if p.Error != nil {
				return nil, translate(p.Error)
			}
			leader := known.leader(topic, int32(p.Partition))
			if leader == nobody {
				return nil, fmt.Errorf("%w: partition %d of topic %q has no leader",
					ports.ErrUnavailable, p.Partition, topic)
			}
			if requests[leader] == nil {
				requests[leader] = &fetch.Request{
					ReplicaID: -1, MaxBytes: lagAnswer, SessionID: noSession, SessionEpoch: noSession,
				}
			}
			req := requests[leader]
			if !seen[leader] {
				seen[leader] = true
				req.Topics = append(req.Topics, fetch.RequestTopic{Topic: topic})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, fetch.RequestPartition{
				Partition: int32(p.Partition), CurrentLeaderEpoch: -1, FetchOffset: max(p.CommittedOffset, 0),
				LogStartOffset: -1, PartitionMaxBytes: lagBytes,
			})
		}
	}
	return requests, nil
}

// addLag asks one broker.
func (q *Queue) addLag(ctx context.Context, lag *ports.Lag, req *fetch.Request) error {
	asked := make(map[place]int64)
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			asked[place{topic.Topic, p.Partition}] = p.FetchOffset
		}
	}
	answer, err := q.cluster.call(ctx, callTimeout, req)
	if err != nil {
		q.cluster.forget()
		return translate(err)
	}
	fetched, ok := answer.(*fetch.Response)
	if !ok {
		return translate(errors.New("kafka-go gave an answer to another question"))
	}
	for i := range fetched.Topics {
		for j := range fetched.Topics[i].Partitions {
			told := &fetched.Topics[i].Partitions[j]
			at := place{fetched.Topics[i].Topic, told.Partition}
			switch code := kafka.Error(told.ErrorCode); code {
			case 0:
				err = addPart(lag, told, asked[at])
			case kafka.OffsetOutOfRange:
				err = q.addWhole(ctx, lag, at)
			default:
				q.cluster.forget()
				err = code
			}
			if err != nil {
				return translate(err)
			}
		}
	}
	return nil
}

// addPart adds what one partition has after an offset.
func addPart(lag *ports.Lag, told *fetch.ResponsePartition, from int64) error {
	lag.Messages += max(0, told.HighWatermark-from)
	s := &stretch{from: from, next: from}
	if err := s.fill(told); err != nil {
		return err
	}
	if len(s.read) > 0 && (lag.Oldest.IsZero() || s.read[0].arrived.Before(lag.Oldest)) {
		lag.Oldest = s.read[0].arrived
	}
	return nil
}

// addWhole adds all that a partition has: what the group goes on with was deleted.
func (q *Queue) addWhole(ctx context.Context, lag *ports.Lag, at place) error {
	answer, err := q.cluster.client().ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{
			at.topic: {kafka.FirstOffsetOf(int(at.partition)), kafka.LastOffsetOf(int(at.partition))},
		},
	})
	if err != nil {
		return err
	}
	for _, told := range answer.Topics[at.topic] {
		if told.Error != nil {
			return told.Error
		}
		lag.Messages += max(0, told.LastOffset-told.FirstOffset)
	}
	return nil
}
