package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

const (
	// commitPause is how long marks gather before they are committed.
	commitPause = 100 * time.Millisecond
	// overduePause is the time between two searches for messages that are open for longer than crowdAge.
	overduePause = time.Second
	// readAhead bounds the bytes read ahead of all partitions together. Each has an equal share, at least minShare.
	readAhead = 16 << 20
	minShare  = 64 << 10
	// fetchersPerBroker is 2, so that partitions that have room again are read while a request for other partitions waits
	// for new messages.
	fetchersPerBroker = 2
)

// generation is our membership of the consumer group between two rebalances, with the partitions assigned to us.
type generation struct {
	q     *Queue
	c     *consumer
	gen   *kafka.Generation
	share int64 // of a partition, in bytes
	lost  context.Context
	lose  context.CancelCauseFunc

	parts []*partition // never changed

	dirty   carrier.WakeUp // there may be something to commit
	reroute carrier.WakeUp // leaders may have changed

	// Guarded by the mutex of the consumer.
	room     chan struct{} // closed and replaced when a partition may be read
	idle     int           // fetchers that wait for room
	fetchers map[int32]bool
	turn     [domain.LaneCount]int // the partition to begin with, by lane
	first    int                   // the partition to begin reading with
}

func newGeneration(c *consumer, gen *kafka.Generation) *generation {
	g := &generation{
		q: c.q, c: c, gen: gen, room: make(chan struct{}), fetchers: make(map[int32]bool),
		dirty: carrier.NewWakeUp(), reroute: carrier.NewWakeUp(),
	}
	g.lost, g.lose = context.WithCancelCause(context.Background())
	for lane, topic := range c.topics {
		for _, a := range gen.Assignments[topic] {
			g.parts = append(g.parts, newPartition(g, topic, domain.Lane(lane), int32(a.ID), a.Offset))
		}
	}
	g.share = max(minShare, readAhead/int64(max(1, len(g.parts))))
	return g
}

// participate reads and commits until the generation ends. It reports whether the generation lasted for a heartbeat at
// least.
func (g *generation) participate() bool {
	started := g.q.opts.Now()
	ended := make(chan struct{})
	g.gen.Start(func(ctx context.Context) {
		defer close(ended)
		g.run(ctx)
	})
	<-ended
	return g.q.opts.Now().Sub(started) >= heartbeat
}

// run reads and commits until ctx, which is the generation's own, ends or the group must be joined again. Before it
// returns it commits what is settled.
func (g *generation) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g.c.enter(g)
	var loops sync.WaitGroup
	loops.Go(func() {
		defer stop()
		g.follow(ctx, &loops)
	})
	g.keepCommitted(ctx)
	stop()
	loops.Wait()
	g.c.exit()
	g.lose(ports.ErrLost)
	if err := g.commit(); err != nil {
		g.q.opts.Logger.Debug("the last settled messages are not committed; they are handed out again", "error", err)
	}
}

// changed is called when a mark has moved.
func (g *generation) changed() { g.dirty.Signal() }

// keepCommitted commits marks that have moved, and signals what keeps them from moving for long, until ctx ends or the
// connection to the coordinator breaks.
func (g *generation) keepCommitted(ctx context.Context) {
	pause := carrier.NewBackoff()
	ticker := time.NewTicker(overduePause)
	defer ticker.Stop()
	for {
		select {
		case <-g.dirty:
		case <-ticker.C:
			g.signalOverdue()
			continue
		case <-ctx.Done():
			return
		}
		outage.Sleep(ctx, commitPause)
		if ctx.Err() != nil {
			return
		}
		err := g.commit()
		code, answered := errors.AsType[kafka.Error](err)
		switch {
		case err == nil:
			pause.Reset()
		case answered && code.Temporary():
			pause.Wait(ctx)
			g.dirty.Signal()
		default:
			return
		}
	}
}

// signalOverdue asks for the messages that are open for too long.
func (g *generation) signalOverdue() {
	before := g.q.opts.Now().Add(-crowdAge)
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	for _, p := range g.parts {
		signalCrowded(p.track.overdue(before))
	}
}

// commit commits the marks of this generation: Kafka ignores those of another.
func (g *generation) commit() error {
	marks := make(map[string]map[int]int64)
	g.c.mu.Lock()
	for _, p := range g.parts {
		if mark := p.mark(); mark > p.committed && !p.gone {
			if marks[p.topic] == nil {
				marks[p.topic] = make(map[int]int64)
			}
			marks[p.topic][int(p.id)] = mark
		}
	}
	g.c.mu.Unlock()
	if err := g.gen.CommitOffsets(marks); err != nil {
		return err
	}
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	for _, p := range g.parts {
		if mark, ok := marks[p.topic][int(p.id)]; ok && mark <= p.track.mark {
			p.committed = mark
		}
	}
	return nil
}

// follow reads each partition from the broker that leads it, wherever that moves, and returns when the group must be
// joined again, because the topics are not those that were divided.
func (g *generation) follow(ctx context.Context, loops *sync.WaitGroup) {
	ticker := time.NewTicker(metadataAge)
	defer ticker.Stop()
	pause := carrier.NewBackoff()
	for ctx.Err() == nil {
		known, err := g.q.cluster.layout(ctx)
		if err != nil {
			g.q.report(ctx, translate(err))
		} else if g.outdated(ctx, known) {
			return
		}
		if err != nil || !g.assign(ctx, known, loops) { // a leader is being elected
			pause.Wait(ctx)
			g.q.cluster.forget()
			continue
		}
		select {
		case <-g.reroute:
			pause.Wait(ctx)
			g.q.cluster.forget()
		case <-ticker.C:
			pause.Reset()
		case <-ctx.Done():
		}
	}
}

// outdated reports whether a topic has more partitions by now, or was made again. One that cannot be made keeps the
// generation: joining the group again could make Kafka create it with the broker's defaults.
func (g *generation) outdated(ctx context.Context, known *layout) bool {
	outdated := false
	for _, topic := range g.c.topics {
		err := known.missing(topic)
		if topicMissing(err) {
			g.disown(topic)
		}
		switch divided, dividing := g.c.divided.of(g.gen.ID, topic); {
		case g.disowned(topic):
			err = g.q.repair(ctx)
			g.q.report(ctx, err)
			outdated = outdated || err == nil || g.q.cluster.has(ctx, topic)
		case err == nil && dividing && divided != known.partitions(topic):
			outdated = true
		}
	}
	return outdated
}

// disown ends the partitions of a topic that is gone. Their offsets mean nothing in a new topic of the same name.
func (g *generation) disown(topic string) {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	for _, p := range g.parts {
		p.gone = p.gone || p.topic == topic
	}
}

func (g *generation) disowned(topic string) bool {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	return slices.ContainsFunc(g.parts, func(p *partition) bool { return p.topic == topic && p.gone })
}

// assign notes the leaders, sees to it that each has fetchers, and reports whether all partitions have a leader.
func (g *generation) assign(ctx context.Context, known *layout, loops *sync.WaitGroup) bool {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	led := true
	for _, p := range g.parts {
		p.leader = known.leader(p.topic, p.id)
		led = led && p.leader != nobody
		if p.leader == nobody || g.fetchers[p.leader] {
			continue
		}
		g.fetchers[p.leader] = true
		for range fetchersPerBroker {
			f := &fetcher{q: g.q, c: g.c, g: g, broker: p.leader}
			loops.Go(func() { f.run(ctx) })
		}
	}
	g.roomMade()
	return led
}

// unreadable returns why a partition cannot be read, or nil when all can.
func (g *generation) unreadable() error {
	for _, p := range g.parts {
		if p.unreadable != nil {
			return fmt.Errorf("%w: the data of partition %d of topic %q cannot be read: %w",
				ports.ErrUnavailable, p.id, p.topic, p.unreadable)
		}
	}
	return nil
}

// roomMade wakes the fetchers that wait.
func (g *generation) roomMade() {
	if g.idle > 0 {
		close(g.room)
		g.room, g.idle = make(chan struct{}), 0
	}
}

// next returns the partition of a lane whose turn it is to hand out a message; nil: none has one. Looking does not take
// the turn.
func (g *generation) next(lane domain.Lane) *partition {
	for i := range g.parts {
		p := g.parts[(g.turn[lane]+i)%len(g.parts)]
		if p.lane == lane && len(p.shelf) > 0 && !p.full() {
			return p
		}
	}
	return nil
}

// handOut returns the next message of a partition that has one, which takes its turn.
func (g *generation) handOut(p *partition) ports.Received {
	g.turn[p.lane] = slices.Index(g.parts, p) + 1
	return p.handOut()
}
