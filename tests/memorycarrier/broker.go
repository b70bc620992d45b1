// Package memorycarrier is a ports.Carrier in memory, for tests. A Broker keeps the messages; each process of a test
// joins it with a Carrier of its own, which may crash. The broker can be taken away, and it can be as nasty as brokers
// are allowed to be: see Mishaps.
package memorycarrier

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Options of a broker.
type Options struct {
	MaxMessage int // bytes of a value; 0: no limit
	Mishaps    Mishaps
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: nothing is logged
}

// Mishaps are what a broker may do to its users without breaking a promise. Each number is how rare that is: it
// happens to one message in so many, at random; 0: never. The zero value is a broker that behaves.
type Mishaps struct {
	Twice   int // a published message lies in the queue twice, at two places
	Shared  int // a message that is handed out goes to another holder too, and nobody learns of it
	Lost    int // a message that is handed out goes to another holder, and Lost ends for the first
	Crowded int // Crowded is closed as soon as a message is handed out
	// ForgetsSettled: after a crash some of what the process settled last is handed out again.
	ForgetsSettled bool
}

// Nasty returns all mishaps at once.
func Nasty() Mishaps {
	const oneIn = 8
	return Mishaps{Twice: oneIn, Shared: oneIn, Lost: oneIn, Crowded: oneIn, ForgetsSettled: true}
}

// strikes reports whether a mishap befalls this message.
func strikes(oneIn int) bool { return oneIn > 0 && rand.IntN(oneIn) == 0 }

// Broker keeps messages for any number of carriers. It is safe for concurrent use.
type Broker struct {
	opts   Options
	outage *outage.Log

	mu      sync.Mutex
	away    bool
	topics  map[string]*topic
	places  int
	changed chan struct{} // closed and replaced when a waiting Receive should look again
}

// New makes a broker without messages.
func New(opts Options) *Broker {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Broker{
		opts: opts, outage: &outage.Log{Name: "memory", Logger: opts.Logger, Now: opts.Now},
		topics: make(map[string]*topic), changed: make(chan struct{}),
	}
}

// SetAway takes the broker away from all carriers, or brings it back with what it holds.
func (b *Broker) SetAway(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
	b.wake()
}

// Write adds a message without an id, as another program does. It lies in the queue once: a copy of what has no id
// would be another request.
func (b *Broker) Write(queue string, value []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topic(queue)
	t.waiting = append(t.waiting, b.place(t, ports.QueueMessage{Value: slices.Clone(value)}))
	b.wake()
}

// wake lets every waiting Receive look again. Called with mu held.
func (b *Broker) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// reachable returns an error while the broker is away. Called with mu held.
func (b *Broker) reachable() error {
	var err error
	if b.away {
		err = fmt.Errorf("%w: the broker is away", ports.ErrUnavailable)
	}
	b.outage.Report(err)
	return err
}

// topic is one queue of messages. All of it is guarded by the mutex of the broker.
type topic struct {
	waiting   []*message
	again     []*message            // copies, and what was handed out before; these go first
	unsettled map[*message]struct{} // counted once, whatever copies there are
}

// topic returns the topic of that name, and makes it if there is none. Called with mu held.
func (b *Broker) topic(name string) *topic {
	t := b.topics[name]
	if t == nil {
		t = &topic{unsettled: make(map[*message]struct{})}
		b.topics[name] = t
	}
	return t
}

// message is one message at its place.
type message struct {
	ports.QueueMessage

	topic   *topic
	place   string
	arrived time.Time
	first   *message // itself, or the message that it is a copy of
	twin    *message // a copy that appears once this one was handed out; nil: none
	retract func()   // ends Lost for the holder that it was taken from; nil: nobody is to learn of it
}

// unsettled reports whether the broker has a message that nobody has settled. Called with mu held.
func (m *message) unsettled() bool {
	_, found := m.topic.unsettled[m.first]
	return found
}

// Purge deletes the messages of a queue, also those that are handed out: their tickets settle nothing any more.
func (b *Broker) Purge(queue string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topic(queue)
	t.waiting, t.again = nil, nil
	clear(t.unsettled)
}

// place makes a message that lies somewhere. Called with mu held.
func (b *Broker) place(t *topic, m ports.QueueMessage) *message {
	b.places++
	placed := &message{
		QueueMessage: m, topic: t, place: fmt.Sprintf("p-%d", b.places), arrived: b.opts.Now().UTC(),
	}
	placed.first = placed
	t.unsettled[placed] = struct{}{}
	return placed
}

// add makes a message durable. Called with mu held.
func (b *Broker) add(t *topic, m ports.QueueMessage) error {
	if b.opts.MaxMessage > 0 && len(m.Value) > b.opts.MaxMessage {
		return fmt.Errorf("%w: it has %d bytes, and the limit is %d", ports.ErrTooLarge, len(m.Value), b.opts.MaxMessage)
	}
	m.Value = slices.Clone(m.Value)
	placed := b.place(t, m)
	if strikes(b.opts.Mishaps.Twice) {
		b.places++
		twin := *placed
		twin.place = fmt.Sprintf("p-%d", b.places)
		placed.twin = &twin
	}
	t.waiting = append(t.waiting, placed)
	return nil
}
