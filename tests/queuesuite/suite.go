// Package queuesuite holds every carrier to ports/broker.go, against the real broker and with no case left out. The
// test of a carrier makes a Harness and calls Run. What only publishes and receives for other programs, such as the
// streams of a native queue, calls RunExchange.
//
// The suite does not sleep. It waits for what must happen, with much patience, and allows a short time for what must
// not; so a slow machine makes it slower but not wrong.
package queuesuite

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// Start makes a harness over queues of its own, which nobody else uses. Whatever it started for that ends with tb.
type Start func(tb testing.TB, settings Settings) Harness

// StartExchange is Start for RunExchange.
type StartExchange func(tb testing.TB, settings Settings) ExchangeHarness

// Settings are what a case wants of the processes that it opens.
type Settings struct {
	MaxMessage int           // bytes of a value
	Takeover   time.Duration // after which other processes get what a crashed one had
	OwnBroker  bool          // the case takes the broker away: nobody else may use it
	Logger     *slog.Logger  // for all that processes log
}

// Broker takes a broker away from open processes and brings it back with what it holds. Both functions are nil where
// that is impossible.
type Broker struct {
	Stop  func()
	Start func()
}

// Harness is a carrier under test.
type Harness struct {
	// Open opens the queue, as one process has it. Whatever is still open ends with the test.
	Open   func() (Process, error)
	Other  string // what the names of queues for other programs begin with
	Broker Broker // with Settings.OwnBroker
	Traits Traits

	// Purge has the broker delete all messages of requests, as an operator does.
	Purge func()

	// AwaitReadAhead begins to read ahead and waits until so many messages are. Nil: Receive looks at all there is.
	AwaitReadAhead func(c ports.Carrier, n int)
}

// Process is a carrier and the end of its process.
type Process struct {
	ports.Carrier

	// Crash ends the process without a word to the broker. Its Received.Lost end too.
	Crash func()
}

// ExchangeHarness is a pair of outlet and inlet under test, which belong to one queue.
type ExchangeHarness struct {
	// Open opens the pair, as one process has it. Whatever is still open ends with the test.
	Open   func() (Exchange, error)
	Broker Broker // with Settings.OwnBroker
	Traits Traits
}

// Exchange is an outlet and an inlet of one process, and two ends of it.
type Exchange struct {
	Outlet ports.Publisher
	Inlet  ports.Receiver
	Close  func() error
	Crash  func() // see Process
}

// Traits are the differences between brokers that ports/broker.go allows. The zero value is the strictest.
type Traits struct {
	// NoKeys: the broker keeps values alone, so ids are empty. True of SQS and of Redis streams.
	NoKeys bool

	// NoSizeLimit: Settings.MaxMessage bounds nothing. True of Redis streams, whose entries may have 512 MiB.
	NoSizeLimit bool

	// SettledReturns: what was settled behind a message that is not comes again when its holder goes. True of Kafka, which
	// remembers one offset for each partition.
	SettledReturns bool
}

// Run runs the suite on a carrier: on its requests, on its outlets and inlets, and on what only a whole carrier has.
func Run(t *testing.T, start Start) {
	t.Helper()
	t.Run("requests", func(t *testing.T) {
		t.Parallel()
		RunExchange(t, requestsOf(start))
	})
	t.Run("outlets and inlets", func(t *testing.T) {
		t.Parallel()
		RunExchange(t, othersOf(start))
	})
	for _, c := range carrierCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := &testkit.LogBuffer{}
			settings := Settings{
				MaxMessage: maxMessage, Takeover: takeover(c.ownBroker), OwnBroker: c.ownBroker, Logger: log.Logger(),
			}
			e := &carrierEnv{log: log, harness: start(t, settings)}
			e.env = newEnv(t)
			if c.ownBroker && e.harness.Broker.Stop == nil {
				t.Skip("the broker cannot be taken away, as the harness says")
			}
			c.run(e)
		})
	}
}

// RunExchange runs the part of the suite that is about publishing and receiving.
func RunExchange(t *testing.T, start StartExchange) {
	t.Helper()
	for _, c := range exchangeCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := &exchangeEnv{env: newEnv(t)}
			e.harness = start(t, Settings{
				MaxMessage: maxMessage, Takeover: takeover(c.ownBroker || c.crashes), OwnBroker: c.ownBroker,
				Logger: slog.New(slog.DiscardHandler),
			})
			switch {
			case c.ownBroker && e.harness.Broker.Stop == nil:
				t.Skip("the broker cannot be taken away, as the harness says")
			case c.applies != nil && !c.applies(e.harness.Traits):
				t.Skip("does not apply to this broker, as its harness says")
			}
			c.run(e)
		})
	}
}

// takeover is long where nobody crashes, so that what is handed back is not merely taken over.
func takeover(crashes bool) time.Duration {
	if crashes {
		return 3 * time.Second
	}
	return 10 * time.Minute
}

// requestsOf makes a pair of what a carrier has for requests.
func requestsOf(start Start) StartExchange {
	return exchangeOf(start, func(_ testing.TB, _ Harness, p Process) (ports.Publisher, ports.Receiver) { return p, p })
}

// othersOf makes a pair of an outlet and an inlet.
func othersOf(start Start) StartExchange {
	return exchangeOf(start, func(tb testing.TB, h Harness, p Process) (ports.Publisher, ports.Receiver) {
		tb.Helper()
		outlet, err := p.Outlet(tb.Context(), h.Other)
		require.NoError(tb, err)
		inlet, err := p.Inlet(tb.Context(), h.Other)
		require.NoError(tb, err)
		return outlet, inlet
	})
}

func exchangeOf(
	start Start, pair func(tb testing.TB, h Harness, p Process) (ports.Publisher, ports.Receiver),
) StartExchange {
	return func(tb testing.TB, settings Settings) ExchangeHarness {
		tb.Helper()
		h := start(tb, settings)
		return ExchangeHarness{
			Broker: h.Broker, Traits: h.Traits,
			Open: func() (Exchange, error) {
				p, err := h.Open()
				if err != nil {
					return Exchange{}, err
				}
				outlet, inlet := pair(tb, h, p)
				return Exchange{Outlet: outlet, Inlet: inlet, Close: p.Close, Crash: p.Crash}, nil
			},
		}
	}
}
