package ports

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Queue carries messages from those who take requests in to workers: at least once, in no promised order. It knows
// nothing of what became of a request: the record is in a store, and the store says whether a message is still to be
// worked on. Delays, retries and dead letters are the store's too.
type Queue interface {
	Publisher
	Receiver
}

// Publisher takes messages.
type Publisher interface {
	// Publish makes each message durable, as the broker defines that. It blocks until all are answered or ctx ends, and
	// keeps nothing of messages afterwards but their values, for as long as one of them may still be under way. The
	// errors are aligned; one that fails leaves the others alone. ErrTooLarge: the broker will never take it.
	// ErrUnavailable: not confirmed, and it may be there all the same, or come to be there.
	Publish(ctx context.Context, messages []QueueMessage) []error
}

// Receiver hands messages out.
type Receiver interface {
	// Receive blocks until it can hand out at least one message within count and bytes, or ctx ends, and then gives what
	// there is. A first one is given even when it is larger. The high lane goes first, but when both wait at least one in
	// domain.LowLaneShare comes from the low one. When ctx ends nothing is lost. While the broker is away it goes on
	// trying by itself. ErrClosed after Close.
	Receive(ctx context.Context, count int, bytes int64) ([]Received, error)

	// Settle lets messages go: once that is durable they are not handed out again, until then a crash hands them out
	// again. It does not wait for the broker. What was lost, see Received.Lost, changes nothing.
	Settle(tickets []Ticket)
}

// Lagging is a queue that can tell how far its workers are behind.
type Lagging interface {
	// Lag is an estimate. It is cheap enough to be asked for at every scrape. The error is ErrUnavailable or ErrClosed.
	Lag(ctx context.Context) (Lag, error)
}

// Lag is what waits in the queue, about.
type Lag struct {
	// Messages is how many the queue has not let go of yet: those that wait, those that are worked on, and those that were
	// settled and are held back by others.
	Messages int64
	// Oldest is when the oldest of them came that the queue shows. Zero: it shows none.
	Oldest time.Time
}

// QueueMessage is one message on its way. What the broker keeps of it is its value, and the id as its key where it has
// such a thing.
type QueueMessage struct {
	ID    domain.ID // of a message that others wrote: empty when its key is no id
	Lane  domain.Lane
	Value []byte
}

// Received is one hand-out of a message.
type Received struct {
	QueueMessage

	Place   string    // names where the message lies, the same at every hand-out
	Arrived time.Time // when it came to the broker, as the broker or else its producer says
	Ticket  Ticket

	// Crowded is closed when the message holds up too many behind it, or for too long: the broker can let go of them
	// only in their order. Its holder should see to it that the request is kept elsewhere, and settle the message.
	Crowded <-chan struct{}
	// Lost ends when the message belongs to somebody else as far as the queue knows, with the cause ErrLost. A call that
	// runs may go on, since the store fences its result.
	Lost context.Context
}

// Ticket stands for one hand-out. Only the queue that made it can read it.
type Ticket any
