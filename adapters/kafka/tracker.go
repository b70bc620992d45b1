package kafka

import "time"

// tracker knows which messages of a partition are settled. Kafka keeps one offset for each partition and group, below
// which everything is done, so what may be committed is the mark: the offset after the last message before which
// nothing is open. It only moves forward. A tracker is not safe for concurrent use.
type tracker struct {
	open  []*message // handed out, in their order, from the first that is not settled on
	taken int64      // messages handed out so far
	mark  int64
	crowd int64 // messages, counted from the first ever handed out, whose holders were told that they crowd
}

// newTracker makes a tracker of a partition of which everything before the offset is settled.
func newTracker(offset int64) *tracker { return &tracker{mark: offset} }

// take notes that a message is handed out. Offsets grow from call to call, with gaps where Kafka keeps no message.
func (t *tracker) take(m *message) {
	m.track = t
	t.open = append(t.open, m)
	t.taken++
}

// settle notes that a message is settled, and reports whether the mark has moved. Again it does nothing.
func (t *tracker) settle(m *message) bool {
	m.settled = true
	n := 0
	for n < len(t.open) && t.open[n].settled {
		t.mark = t.open[n].offset + 1
		t.open[n] = nil // the array may live for long
		n++
	}
	t.open = t.open[n:]
	return n > 0
}

// advance moves the mark of a partition in which nothing is open, over offsets that hold no message.
func (t *tracker) advance(offset int64) {
	if len(t.open) == 0 {
		t.mark = max(t.mark, offset)
	}
}

// gap is how many messages were handed out from the mark on, settled ones included. They are handed out again when the
// process dies.
func (t *tracker) gap() int { return len(t.open) }

// crowded returns the open messages after which at least bound others were handed out. Each is returned once, here or
// by overdue.
func (t *tracker) crowded(bound int) []*message { return t.newlyCrowded(t.taken - int64(bound)) }

// overdue returns the open messages that were handed out before a time and hold up one that is settled, which would be
// handed out again after a crash. Each is returned once, here or by crowded.
func (t *tracker) overdue(before time.Time) []*message {
	last := len(t.open) - 1
	for last > 0 && !t.open[last].settled {
		last--
	}
	n := 0
	for n < last && t.open[n].taken.Before(before) {
		n++
	}
	return t.newlyCrowded(t.first() + int64(n))
}

// first is the number of open[0], counted from the first message ever handed out.
func (t *tracker) first() int64 { return t.taken - int64(len(t.open)) }

// newlyCrowded returns the open messages up to a number that were not returned before.
func (t *tracker) newlyCrowded(to int64) []*message {
	from := max(t.crowd, t.first())
	if from >= to {
		return nil
	}
	t.crowd = to
	var old []*message
	for _, m := range t.open[from-t.first() : to-t.first()] {
		if !m.settled {
			old = append(old, m)
		}
	}
	return old
}
