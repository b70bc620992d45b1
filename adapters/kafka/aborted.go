package kafka

import (
	"slices"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// aborted finds the batches of transactions that other producers have aborted: Kafka hands them out all the same. See
// "Transactional Messaging" in KIP-98.
type aborted struct {
	waiting []fetch.ResponseTransaction // by first offset
	active  map[int64]bool              // producers
}

func newAborted(transactions []fetch.ResponseTransaction) *aborted {
	sorted := slices.Clone(transactions)
	slices.SortFunc(sorted, func(a, b fetch.ResponseTransaction) int { return int(a.FirstOffset - b.FirstOffset) })
	return &aborted{waiting: sorted, active: make(map[int64]bool)}
}

// skip reports whether a batch holds no messages. It is called for each in the order of the answer.
func (a *aborted) skip(batch protocol.RecordReader) bool {
	switch b := batch.(type) {
	case *protocol.ControlBatch: // the end of a transaction, whichever
		a.begin(b.BaseOffset)
		delete(a.active, b.ProducerID)
		return true
	case *protocol.RecordBatch:
		a.begin(b.BaseOffset)
		return b.Attributes.Transactional() && a.active[b.ProducerID]
	default:
		return false
	}
}

// begin notes the aborted transactions that have begun by that offset.
func (a *aborted) begin(offset int64) {
	for len(a.waiting) > 0 && a.waiting[0].FirstOffset <= offset {
		a.active[a.waiting[0].ProducerID] = true
		a.waiting = a.waiting[1:]
	}
}
