package kafka

// MaxGap is how many messages of a partition may be in flight.
const MaxGap = maxGap

// OnShelves is how many messages are read ahead.
func OnShelves(q *Queue) int {
	q.consumer.mu.Lock()
	defer q.consumer.mu.Unlock()
	n := 0
	if q.consumer.now != nil {
		for _, p := range q.consumer.now.parts {
			n += len(p.shelf)
		}
	}
	return n
}

// Vanish ends a queue as a crash does: nothing is committed, and the group is not notified.
func Vanish(q *Queue) {
	q.cluster.close()
	_ = q.Close() // nothing can be said any more
}

// Marked is how many messages lie below the marks.
func Marked(q *Queue) int {
	q.consumer.mu.Lock()
	defer q.consumer.mu.Unlock()
	n := int64(0)
	for _, p := range q.consumer.now.parts {
		n += p.track.mark
	}
	return int(n)
}

// Forget makes a queue ask for the layout of the cluster now, as it does from time to time.
func Forget(q *Queue) {
	q.cluster.forgetNow()
	q.producer.wake.Signal()
	q.consumer.mu.Lock()
	defer q.consumer.mu.Unlock()
	if q.consumer.now != nil {
		q.consumer.now.reroute.Signal()
	}
}
