package kafka

import (
	"context"

	"github.com/segmentio/kafka-go"

	"github.com/openhqm/openhqm/ports"
)

// extent is what Kafka has of a partition: messages from the first offset on, and none from the last on.
type extent struct{ first, last int64 }

// mark is the extents of all partitions at some moment.
type mark struct {
	q       *Queue
	extents map[place]extent
}

// Mark asks how far each partition goes. A leader that was just elected refuses until it knows (KIP-207), so an offset
// never goes back, unless a topic is made again.
func (q *Queue) Mark(ctx context.Context) (ports.Mark, error) {
	known, err := q.marking(ctx)
	if err != nil {
		return nil, err
	}
	extents, err := q.extents(ctx, known)
	if err != nil {
		return nil, err
	}
	return &mark{q: q, extents: extents}, nil
}

// Passed compares the mark with what the group has committed and what Kafka still has, with two requests for each
// partition. Of a topic that was made again, or has lost its end, all that is there must be settled.
func (m *mark) Passed(ctx context.Context) (bool, error) {
	known, err := m.q.marking(ctx)
	if err != nil {
		return false, err
	}
	committed, err := m.q.committed(ctx, known)
	if err != nil {
		return false, translate(err)
	}
	extents, err := m.q.extents(ctx, known)
	if err != nil {
		return false, err
	}
	for topic, partitions := range committed {
		for _, p := range partitions {
			at := place{topic, int32(p.Partition)}
			switch marked, found := m.extents[at]; {
			case p.Error != nil:
				return false, translate(p.Error)
			case found && !extents[at].settledUpTo(marked.last, p.CommittedOffset):
				return false, nil
			}
		}
	}
	return true, nil
}

// settledUpTo reports whether nothing before an offset is left of a partition of which that is committed; negative:
// nothing ever was. What is committed beyond the end of a partition was in another one of its name.
func (e extent) settledUpTo(offset, committed int64) bool {
	if committed > e.last {
		committed = e.first
	}
	return max(committed, e.first) >= min(offset, e.last)
}

// marking returns the layout when all topics of requests are there.
func (q *Queue) marking(ctx context.Context) (*layout, error) {
	if q.ctx.Err() != nil {
		return nil, ports.ErrClosed
	}
	known, err := q.cluster.layout(ctx)
	if err != nil {
		return nil, translate(err)
	}
	for _, topic := range q.topics {
		if err := known.missing(topic); err != nil {
			return nil, translate(err)
		}
	}
	return known, nil
}

func (q *Queue) extents(ctx context.Context, known *layout) (map[place]extent, error) {
	req := &kafka.ListOffsetsRequest{Topics: make(map[string][]kafka.OffsetRequest)}
	for _, topic := range q.topics {
		for id := range known.partitions(topic) {
			req.Topics[topic] = append(req.Topics[topic], kafka.FirstOffsetOf(id), kafka.LastOffsetOf(id))
		}
	}
	answer, err := q.cluster.client().ListOffsets(ctx, req)
	if err != nil {
		q.cluster.forget()
		return nil, translate(err)
	}
	extents := make(map[place]extent)
	for topic, partitions := range answer.Topics {
		for _, p := range partitions {
			if p.Error != nil {
				q.cluster.forget()
				return nil, translate(p.Error)
			}
			extents[place{topic, int32(p.Partition)}] = extent{p.FirstOffset, p.LastOffset}
		}
	}
	return extents, nil
}
