// Package conformance holds every backend to the contracts of ports.Intake, ports.Work, ports.Results,
// ports.DeadLetters and ports.Gauge, against the real thing and with no case left out. A backend's own test makes a
// Harness and calls Run; its benchmark calls Benchmark. Where backends honestly differ, the difference is a named field
// of Traits.
//
// The suite does not sleep. It waits for what must happen, with much patience, and allows a short time for what must
// not; so a slow machine makes it slower but not wrong.
package conformance

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/moving"
)

// Start makes a harness over fresh, empty storage. Whatever it started for that ends with tb.
type Start func(tb testing.TB, settings Settings) Harness

// Settings are what a case wants of the instances it opens.
type Settings struct {
	Lease         time.Duration // of a delivery whose consumer is gone
	TTL           time.Duration // of a record from its final state on
	DeadLetterTTL time.Duration // zero: the same
}

// Harness is a backend under test: storage, and instances opened over it.
type Harness struct {
	// Open opens an instance. After the Close of that, Open returns one that finds everything again.
	Open func() (Instance, error)

	// StopBroker takes the broker away from open instances, and StartBroker brings it back with what it holds. Both are
	// nil where there is no broker.
	StopBroker  func() error
	StartBroker func() error

	Traits Traits
}

// Instance is an opened backend, as a process has it.
type Instance struct {
	Intake      ports.Intake
	Results     ports.Results
	DeadLetters ports.DeadLetters
	Gauge       ports.Gauge
	Pauses      ports.Pauses // nil only where there is one process

	// NewConsumer makes a consumer that lives until ctx ends. To end ctx is to crash: what the consumer holds is not
	// finished, its leases are no longer extended, and it hands nothing back.
	NewConsumer func(ctx context.Context) ports.Work

	// Close ends everything that the instance does. Receives and waits under way end with ports.ErrClosed.
	Close func() error
}

// Traits are the differences between backends that the contracts allow. The zero value is the strictest.
type Traits struct {
	// OneProcess: a second instance cannot be opened beside the first. True of a database that its process owns.
	OneProcess bool

	// ApproximateDepth: depths are an estimate, which is right once nothing moves and a worker has looked at what was
	// cancelled. True where a broker carries messages and counts them by itself.
	ApproximateDepth bool

	// OriginalWithMessage: a dead letter that the deadline made of a request which no worker had begun has its original
	// only when the message next comes to one. True where the queue carries requests and the store has their records
	// alone.
	OriginalWithMessage bool

	// BroughtFirst: messages that are here already go before what is handed back. True where a carrier brings them.
	BroughtFirst bool

	// Joining is how long a consumer may take to get what there is, counted from when it is made or another has crashed.
	// Longer than a moment where the broker divides what it holds among a group, and misses those that crash.
	Joining time.Duration
}

// theme is a group of cases. Themes run one after the other, their cases in parallel.
type theme struct {
	name  string
	cases []testCase
}

// testCase is one sentence about a backend.
type testCase struct {
	name     string
	run      func(e *env)
	settings Settings           // zero fields: so long that nothing runs out
	patience time.Duration      // zero: what most cases have
	applies  func(Harness) bool // nil: to every backend
}

func themes() []theme {
	return []theme{
		{"round trips", roundTrips()},
		{"final states", finalStates()},
		{"results", results()},
		{"dead letters", deadLetters()},
		{"bodies", bodies()},
		{"idempotency keys", idempotencyKeys()},
		{"leases", leases()},
		{"handing back", returning()},
		{"retries and delays", retries()},
		{"cancelling", cancelling()},
		{"priority", priorities()},
		{"credit", credits()},
		{"receiving", receiving()},
		{"giving up", givingUp()},
		{"deadlines", deadlines()},
		{"depth", depths()},
		{"closing", closing()},
		{"processes", processes()},
		{"broker", brokers()},
		{"faults", faults()},
		{"crowds", crowds()},
	}
}

// Run runs the suite. It ends with a look for goroutines that the backend left behind.
func Run(t *testing.T, start Start) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	for _, theme := range themes() {
		t.Run(theme.name, func(t *testing.T) {
			for _, c := range theme.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					runCase(t, start, c)
				})
			}
		})
	}
	t.Run("no goroutine is left", func(t *testing.T) { goleak.VerifyNone(t, before) })
}

func runCase(t *testing.T, start Start, c testCase) {
	t.Helper()
	settings := c.settings
	if settings.Lease == 0 {
		settings.Lease = time.Minute
	}
	if settings.TTL == 0 {
		settings.TTL = time.Hour
	}
	if settings.DeadLetterTTL == 0 {
		settings.DeadLetterTTL = settings.TTL
	}
	if c.patience == 0 {
		c.patience = patience
	}
	var moves atomic.Int64
	ctx, cancel := moving.While(t.Context(), c.patience, moves.Load)
	t.Cleanup(cancel)
	e := newEnv(ctx, t, &moves, start, settings)
	if c.applies != nil && !c.applies(e.harness) {
		t.Skip("does not apply to this backend, as its harness says")
	}
	e.open()
	c.run(e)
	require.NoError(t, e.close())
}
