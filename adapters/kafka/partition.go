package kafka

import (
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// maxGap is how many messages of a partition may be handed out from the first open one on. They are handed out again
// when the process dies. When it is half reached, the first ones crowd.
const maxGap = 2048

// crowdAge is how long a message may be open while messages behind it are settled, however few. Those come again after
// a rebalance, and what the store knows of them must not be over by then.
const crowdAge = 10 * time.Second

// message is one message of a partition.
type message struct {
	offset  int64
	id      domain.ID
	value   []byte
	written int64 // the time in it, in milliseconds, whatever that is
	arrived time.Time

	part    *partition
	track   *tracker      // from the hand-out on
	taken   time.Time     // when that was
	crowded chan struct{} // likewise
	settled bool
}

// messageBytes is about what a message takes up in memory beside its value.
const messageBytes = 256

// size is what a message on a shelf takes up, in bytes. An empty one is not free.
func (m *message) size() int64 { return int64(len(m.value)) + messageBytes }

// partition is one that a generation owns. All but its names is guarded by the mutex of the consumer.
type partition struct {
	gen   *generation
	topic string
	id    int32
	lane  domain.Lane

	leader    int32
	next      int64 // the offset to read next
	reading   bool  // a request for it is under way
	shelf     []*message
	bytes     int64 // that the messages on the shelf take up
	track     *tracker
	committed int64
	gone      bool // the topic was deleted

	doubtful   bool  // a request for it has failed, so that it is asked for alone: its data may be why
	unreadable error // why its data cannot be read; nil: it can
}

func newPartition(g *generation, topic string, lane domain.Lane, id int32, offset int64) *partition {
	p := &partition{gen: g, topic: topic, lane: lane, id: id, leader: nobody}
	p.begin(max(offset, 0)) // what was never committed begins at the start, which may be later: see fetcher.outOfRange
	return p
}

// begin makes the partition go on at an offset. What was handed out before belongs to nobody.
func (p *partition) begin(offset int64) {
	p.next, p.committed, p.track = offset, offset, newTracker(offset)
	p.shelf, p.bytes = nil, 0
}

// full reports whether too many messages wait for the first open one.
func (p *partition) full() bool { return p.track.gap() >= maxGap }

// handOut returns the next message of a shelf that has one.
func (p *partition) handOut() ports.Received {
	m := p.shelf[0]
	p.shelf[0] = nil // the array may live for long
	p.shelf = p.shelf[1:]
	p.bytes -= m.size()
	m.crowded, m.taken = make(chan struct{}), p.gen.q.opts.Now()
	p.track.take(m)
	signalCrowded(p.track.crowded(maxGap / 2))
	if p.wanting() {
		p.gen.roomMade()
	}
	value := m.value
	m.value = nil // the ticket may live for long
	return ports.Received{
		QueueMessage: ports.QueueMessage{ID: m.id, Lane: p.lane, Value: value},
		Place:        p.place(m),
		Arrived:      m.arrived, Ticket: m, Crowded: m.crowded, Lost: p.gen.lost,
	}
}

// place names a message. A topic that was deleted and made again has the same offsets again, so the time in the message
// is part of it: kafka-go does not tell the ids of topics.
func (p *partition) place(m *message) string {
	return fmt.Sprintf("%s-%d-%d-%d", p.topic, p.id, m.offset, m.written)
}

// signalCrowded lets the holders of messages know that they crowd.
func signalCrowded(old []*message) {
	for _, m := range old {
		close(m.crowded)
	}
}

// wanting reports whether the partition should be read: what is on the shelf is less than half of its share.
func (p *partition) wanting() bool {
	return !p.reading && !p.gone && p.leader != nobody && p.bytes < p.gen.share/2
}

// add puts what was read on the shelf. The offset is the one to go on with, and those between are of no message.
func (p *partition) add(read []*message, next int64) {
	for _, m := range read {
		m.part = p
		p.bytes += m.size()
	}
	p.shelf = append(p.shelf, read...)
	p.next = max(p.next, next)
}

// mark is the offset to commit.
func (p *partition) mark() int64 {
	if len(p.shelf) == 0 {
		p.track.advance(p.next)
	}
	return p.track.mark
}
