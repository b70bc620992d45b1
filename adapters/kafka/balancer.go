package kafka

import (
	"sync"

	"github.com/segmentio/kafka-go"
)

// balancer divides each topic into ranges, as Kafka's own clients can too. It notes which partitions there were: the
// member that divides them must also notice partitions that are added later.
type balancer struct {
	kafka.RangeGroupBalancer

	seen *divided
}

// AssignGroups is called in the member that the group has chosen, once in a generation, before that begins.
func (b balancer) AssignGroups(
	members []kafka.GroupMember, partitions []kafka.Partition,
) kafka.GroupMemberAssignments {
	b.seen.note(partitions)
	return b.RangeGroupBalancer.AssignGroups(members, partitions)
}

// divided is how many partitions of each topic this member has divided among all when it last did.
type divided struct {
	mu         sync.Mutex
	counts     map[string]int
	generation int32 // that it was for; 0: the next one
}

func (d *divided) note(partitions []kafka.Partition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts, d.generation = make(map[string]int), 0
	for i := range partitions {
		d.counts[partitions[i].Topic]++
	}
}

// begin notes the generation of the last division, if this member made it.
func (d *divided) begin(generation int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.generation == 0 {
		d.generation = generation
	}
}

// of returns how many partitions of a topic were divided for a generation. It reports false when another member did.
func (d *divided) of(generation int32, topic string) (int, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[topic], d.counts != nil && d.generation == generation
}
