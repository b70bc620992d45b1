package testkit

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Carrier is a broker that only carries messages, beside a Redis that keeps the records. Tests of what all of them
// promise range over Carriers.
type Carrier struct {
	Name    string // its queue.type
	Program string // its server, as scripts/brokers/ensure knows it

	// Shared returns the broker that all tests of a package share, and Start one that this test may kill. Where there is
	// no such server the test is skipped; with CI=true it fails.
	Shared, Start func(testing.TB) Broker

	// Run runs a broker outside of tests.
	Run func(RunOptions) (Running, error)

	// Variables configure an installation that uses a queue of the broker at an address; where its Redis is comes in
	// addition.
	Variables func(address, queue string) []string

	HighSuffix string // behind the name of the queue, for requests of high priority
	Lease      string // the variable for how long a worker that gives no sign of life keeps its requests
	Secret     string // that no log may show; empty: Variables have none
	MaxBody    int    // size in bytes of a body that one message can hold, with some room left
	Keyed      bool   // messages have the ids of requests beside them, for keys
	Created    string // what the program logs when it creates a topic, if the broker deletes later than it says
}

// Carriers lists all of them.
func Carriers() []Carrier { return []Carrier{kafkaCarrier(), sqsCarrier()} }

// Broker is a running server of a carrier, as other programs meet it. The names are those of its topics or queues.
type Broker interface {
	// Address is what Carrier.Variables takes.
	Address() string

	// Kill ends it with SIGKILL, and Restart starts it again with all that it has acknowledged.
	Kill()
	Restart(tb testing.TB)

	// Send writes messages. For each it returns the id that its request gets if it names none, as a regular expression.
	Send(tb testing.TB, name string, messages ...Message) (ids []string)

	// Read waits until n messages have come under a name, and returns them. Only one test at a time reads from a name.
	Read(tb testing.TB, name string, n int) []Message

	// Purge deletes all messages under these names, and Delete also what has the names.
	Purge(tb testing.TB, names ...string)
	Delete(tb testing.TB, names ...string)
}

// Message is a message as other programs write and read it, with neither tabs nor line ends. Where a carrier has no
// keys, Key is lost.
type Message struct{ Key, Value string }

// Queue is what one installation uses of a broker: names that nothing else has in this run. Nothing under them exists
// before somebody creates it.
type Queue struct {
	Name string // of what carries requests; names that begin with it and a "-" are its too

	carrier Carrier
	address string
}

var lastQueue atomic.Int64

// NewQueue chooses the name of a queue in a broker.
func (c Carrier) NewQueue(b Broker) Queue {
	return Queue{
		Name: "requests-" + strconv.FormatInt(lastQueue.Add(1), 10), carrier: c, address: b.Address(),
	}
}

// Variables configure an installation that uses the queue; where its Redis is comes in addition.
func (q Queue) Variables() []string { return q.carrier.Variables(q.address, q.Name) }

// At returns the same queue in the broker at another address.
func (q Queue) At(address string) Queue {
	q.address = address
	return q
}

// High returns the name of what carries requests of high priority.
func (q Queue) High() string { return q.Name + q.carrier.HighSuffix }

// Lease returns the variable that makes a worker lose what it holds after being silent for so long.
func (q Queue) Lease(lease time.Duration) string { return q.carrier.Lease + "=" + lease.String() }

// RunOptions say how to run a broker outside of tests.
type RunOptions struct {
	Program string // what scripts/brokers/ensure prints
	Dir     string // an empty directory, for its files
	JVM     string // options of Java, which come after those of Program
}

// Running is a broker outside of tests.
type Running struct {
	Address string // what Carrier.Variables takes
	PID     int
	Close   func() // ends it, and waits for its end
}

// atEnd is what Main does when all tests of the package are over.
var atEnd struct {
	mu   sync.Mutex
	todo []func()
}

func doAtEnd(f func()) {
	atEnd.mu.Lock()
	defer atEnd.mu.Unlock()
	atEnd.todo = append(atEnd.todo, f)
}

func endShared() {
	atEnd.mu.Lock()
	defer atEnd.mu.Unlock()
	for _, f := range atEnd.todo {
		f()
	}
}
