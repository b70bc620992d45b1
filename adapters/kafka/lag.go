package kafka

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

const (
	// lagBytes makes a broker show of a partition only how far it goes. The first one that has something is shown with
	// one batch all the same.
	lagBytes = 1
	// lagLooks is how many partitions are read at once to learn how old their first messages are: each costs a round trip
	// and, in memory, one batch.
	lagLooks = 8
)

// ages is how old the first messages of partitions are, as far as that is known. It is safe for concurrent use.
type ages struct {
	mu    sync.Mutex
	first map[place]first // guarded by mu
	turn  int             // of the partitions that nothing is known of, for looking; guarded by mu
}

// first is the first message after an offset that the group has committed.
type first struct {
	committed int64
	arrived   time.Time
}

// backlog is what partitions have after the offsets that the group has committed.
type backlog struct {
	messages  int64
	committed map[place]int64 // where something lies
	first     map[place]first // of those that were read
	now       time.Time
}

// Lag asks every broker that leads a partition of ours, with one request each, and the coordinator of the group. It
// counts what lies after the offsets that the group has committed. How old that is it reads of a few partitions at each
// call, in turn, and remembers until the offset of the partition moves.
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
	b := &backlog{committed: make(map[place]int64), first: make(map[place]first), now: q.opts.Now()}
	for _, req := range requests {
		if err := q.addLag(ctx, b, req); err != nil {
			return ports.Lag{}, err
		}
	}
	for _, at := range q.ages.unknown(b) {
		looked := &backlog{committed: b.committed, first: b.first, now: b.now} // it counts for itself
		if err := q.addLag(ctx, looked, at.request(b.committed[at])); err != nil {
			return ports.Lag{}, err
		}
	}
	return ports.Lag{Messages: b.messages, Oldest: q.ages.oldest(b)}, nil
}

// unknown forgets what is over, and returns some of the partitions that a backlog has of which nothing is known.
func (a *ages) unknown(b *backlog) []place {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.first, b.first)
	maps.DeleteFunc(a.first, func(at place, f first) bool {
		committed, found := b.committed[at]
		return !found || committed != f.committed
	})
	var unknown []place
	for at := range b.committed {
		if _, found := a.first[at]; !found {
			unknown = append(unknown, at)
		}
	}
	if len(unknown) <= lagLooks {
		return unknown
	}
	slices.SortFunc(unknown, func(x, y place) int {
		return cmp.Or(cmp.Compare(x.topic, y.topic), cmp.Compare(x.partition, y.partition))
	})
	from := a.turn % len(unknown)
	a.turn += lagLooks
	return slices.Concat(unknown[from:], unknown[:from])[:lagLooks]
}

// oldest is when the first message of a backlog arrived, of those that are known.
func (a *ages) oldest(b *backlog) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.first, b.first)
	var oldest time.Time
	for _, f := range a.first {
		if oldest.IsZero() || f.arrived.Before(oldest) {
			oldest = f.arrived
		}
	}
	return oldest
}

// committed returns what the group has committed, by topic and partition; what it never has is negative.
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
				requests[leader] = lagRequest()
			}
			req := requests[leader]
			if !seen[leader] {
				seen[leader] = true
				req.Topics = append(req.Topics, fetch.RequestTopic{Topic: topic})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, place{topic, int32(p.Partition)}.after(p.CommittedOffset))
		}
	}
	return requests, nil
}

func lagRequest(topics ...fetch.RequestTopic) *fetch.Request {
	return &fetch.Request{
		ReplicaID: -1, MaxBytes: lagBytes, SessionID: noSession, SessionEpoch: noSession, Topics: topics,
	}
}

// after asks what a partition has after an offset.
func (at place) after(offset int64) fetch.RequestPartition {
	return fetch.RequestPartition{
		Partition: at.partition, CurrentLeaderEpoch: -1, FetchOffset: max(offset, 0), LogStartOffset: -1,
		PartitionMaxBytes: lagBytes,
	}
}

// request asks that of this partition alone.
func (at place) request(offset int64) *fetch.Request {
	return lagRequest(fetch.RequestTopic{
		Topic: at.topic, Partitions: []fetch.RequestPartition{at.after(offset)},
	})
}

// addLag asks one broker.
func (q *Queue) addLag(ctx context.Context, b *backlog, req *fetch.Request) error {
	asked := make(map[place]int64)
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			asked[place{topic.Topic, p.Partition}] = p.FetchOffset
		}
	}
	answer, err := q.cluster.call(ctx, carrier.CallTimeout, req)
	if err != nil {
		q.cluster.forget()
		return translate(err)
	}
	fetched, ok := answer.(*fetch.Response)
	if !ok {
		return translate(fmt.Errorf("kafka-go returned an unexpected %T", answer))
	}
	for i := range fetched.Topics {
		for j := range fetched.Topics[i].Partitions {
			response := &fetched.Topics[i].Partitions[j]
			at := place{fetched.Topics[i].Topic, response.Partition}
			switch code := kafka.Error(response.ErrorCode); code {
			case 0:
				err = b.add(response, at, asked[at])
			case kafka.OffsetOutOfRange:
				err = q.addWhole(ctx, b, at)
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

// add adds what one partition has after an offset.
func (b *backlog) add(response *fetch.ResponsePartition, at place, from int64) error {
	if response.HighWatermark <= from {
		return nil
	}
	b.messages += response.HighWatermark - from
	b.committed[at] = from
	s := &partitionRead{from: from, next: from, now: b.now}
	if err := s.fill(response); err != nil {
		return err
	}
	if len(s.read) > 0 {
		b.first[at] = first{from, s.read[0].arrived}
	}
	return nil
}

// addWhole adds all that a partition has: what the group goes on with was deleted.
func (q *Queue) addWhole(ctx context.Context, b *backlog, at place) error {
	answer, err := q.cluster.client().ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{
			at.topic: {kafka.FirstOffsetOf(int(at.partition)), kafka.LastOffsetOf(int(at.partition))},
		},
	})
	if err != nil {
		return err
	}
	for _, response := range answer.Topics[at.topic] {
		if response.Error != nil {
			return response.Error
		}
		b.messages += max(0, response.LastOffset-response.FirstOffset)
	}
	return nil
}
