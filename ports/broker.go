package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Carrier is a queue that only carries messages: at least once, in no promised order. It knows nothing of what became
// of a request. The record is in a store, and the store decides whether a message still needs work; delays, retries and
// dead letters are the store's too. This file is all that a carrier owes, and tests/queuesuite holds each one to it.
//
// A carrier is one connection of one process to its broker, and safe for concurrent use. While the broker is away it
// reconnects by itself, with growing pauses. It logs one line when an outage begins and one when it is over.
type Carrier interface {
	Publisher
	Receiver
	Lagging
	Marking
	Leaver
	Exchanger

	// Probe fails while the broker is away, and while it refuses something that the carrier needs: a permission, a queue
	// that is missing and cannot be made, data that cannot be read. The error names the part. Probing may make missing
	// queues again. ErrClosed after Close.
	Probe

	// Close leaves the queue and its inlets, and ends every call under way with ErrClosed. What is still being published
	// gets a few seconds. It blocks until no goroutine is left, at most 15 s. The second call does nothing.
	Close() error
}

// Publisher sends messages.
type Publisher interface {
	// Publish makes each message durable, as the broker defines that. It blocks until all are answered or ctx ends; it
	// retries what may pass by itself, so a message may lie in the queue twice. The errors are aligned with messages, and
	// one that fails leaves the others alone: ErrTooLarge means that the broker will never accept it, ErrUnavailable that
	// it is not confirmed and may arrive all the same, now or later. ErrClosed after Close.
	//
	// Of the arguments only the values are kept after the call, for as long as one of them may still be under way.
	Publish(ctx context.Context, messages []QueueMessage) []error
}

// Receiver hands messages out.
type Receiver interface {
	// Receive blocks until it can hand out at least one message within count and bytes, or ctx ends. It returns what is
	// there, without waiting for more. The first message may exceed bytes. The high lane goes first; while both lanes have
	// messages, one in domain.LowLaneShare comes from the low one. When ctx ends it returns the cause of that, and nothing
	// is lost. While the broker is away it keeps trying. ErrClosed after Leave or Close.
	Receive(ctx context.Context, count int, bytes int64) ([]Received, error)

	// Settle tells the broker that messages are done with, in the background. Once the broker knows they are not handed
	// out again; after a crash before that they are. Settling twice, after Received.Lost has ended, or after Leave does
	// nothing.
	Settle(tickets []Ticket)
}

// Lagging is a queue that can tell how far its workers are behind.
type Lagging interface {
	// Lag returns an estimate, within the deadline of ctx. It is cheap enough to be called at every scrape. Errors match
	// ErrUnavailable or ErrClosed.
	Lag(ctx context.Context) (Lag, error)
}

// Marking is a queue that can tell when all that it had at some moment has left it.
type Marking interface {
	// Mark notes which messages the queue has: every one that was confirmed before the call. It blocks for a few round
	// trips. Errors match ErrUnavailable or ErrClosed.
	Mark(ctx context.Context) (Mark, error)
}

// Mark is what a queue had at some moment. It may be used by one caller at a time.
type Mark interface {
	// Passed reports whether nothing of that is left: each message is settled, or the broker has deleted it, and Receive
	// will never hand it out. When in doubt it reports false, so it is to be asked again, every few seconds: some brokers
	// must be seen empty for a while. It blocks for a few round trips. Errors match ErrUnavailable or ErrClosed.
	Passed(ctx context.Context) (bool, error)
}

// Leaver is a queue that hands its messages to other processes at once when this one stops.
type Leaver interface {
	// Leave settles what is to be settled and hands back everything else that was received, which ends its Received.Lost.
	// Publishing, outlets and inlets go on. It blocks for at most 10 s; what cannot be handed back by then goes to other
	// processes as after a crash. The second call does nothing.
	Leave()
}

// Exchanger opens the queues that other programs have at their other end.
type Exchanger interface {
	// Outlet opens a queue for other programs to read. It publishes with the same promises as Publisher, and ignores
	// lanes. Inlet opens one that other programs write, from its first message on; processes that open the same inlet
	// share its messages.
	//
	// Both make a queue that is missing. A name or a queue that will not do, or a broker that is away or refuses, is an
	// error within 10 s. What they return lives until Close. ErrClosed after that.
	Outlet(ctx context.Context, name string) (Publisher, error)
	Inlet(ctx context.Context, name string) (Receiver, error)
}

// Lag is about what waits in the queue.
type Lag struct {
	// Messages is how many are not settled, as the broker counts: those that wait and those that are worked on. Some
	// brokers also count those settled behind one that is not.
	Messages int64
	// Oldest is when the oldest message arrived that the carrier can see. Zero: it sees none.
	Oldest time.Time
}

// QueueMessage is one message on the wire. The broker keeps its value, and its id as the key where it has keys.
type QueueMessage struct {
	ID    domain.ID // empty when the broker has no keys, or another program wrote a key that is no id
	Lane  domain.Lane
	Value []byte
}

// Received is one hand-out of a message.
type Received struct {
	QueueMessage

	// Fields are those of an entry that has no field for a message; then there is no value.
	Fields []domain.Field

	Place   string    // identifies the message in the queue, the same at every hand-out
	Arrived time.Time // at the broker; where that is unknown, when its producer says it was sent
	Ticket  Ticket

	// Crowded is closed when the broker needs the message settled soon: it holds up other messages, or the broker will
	// stop reserving it. Its holder should have the request kept in the store and settle the message. Nil: that never
	// happens.
	Crowded <-chan struct{}
	// Lost ends, with the cause ErrLost, when the broker may hand the message to another holder. A call that runs may go
	// on, since the store fences its result. Nil: the carrier cannot tell.
	Lost context.Context
}

// Ticket stands for one hand-out. Only the receiver that made it can read it; other receivers ignore it.
type Ticket any
