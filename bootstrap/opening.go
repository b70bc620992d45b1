package bootstrap

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// The process listens before its queue is open, because a broker may be away or loading for a long time. Adapters need
// no state for that: each is opened whole, and tried again until it is there (see await). Only what the HTTP server
// asks has to answer before, and answers as during any other outage. So clients and load balancers see nothing new, and
// the listener never changes.

// opening is the queue and the store for whom they are not there yet.
type opening struct {
	queue atomic.Pointer[openedQueue] // nil: not open yet

	mu     sync.Mutex
	awaits map[string]error // why a component is not open yet, by name
}

// openedQueue is what a queue module has opened.
type openedQueue struct {
	fx.In

	Intake  ports.Intake
	Results ports.Results
	Letters ports.DeadLetters
	Gauge   ports.Gauge
	Clock   storeClock
	Backups ports.Backups `optional:"true"`
	Probes  []probe       `group:"probes"`
}

func newOpening() *opening { return &opening{awaits: make(map[string]error)} }

// waits notes what a component waits for.
func (o *opening) waits(component string, cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.awaits[component] = cause
}

// get returns the queue, or why it is not open yet.
func (o *opening) get() (*openedQueue, error) {
	if queue := o.queue.Load(); queue != nil {
		return queue, nil
	}
	return nil, errNotOpen
}

// now is the time by the clock of the store, or by ours while that is not known.
func (o *opening) now() time.Time {
	if queue := o.queue.Load(); queue != nil {
		return queue.Clock.now()
	}
	return time.Now()
}

var errNotOpen = fmt.Errorf("%w: it is not open yet", ports.ErrUnavailable)

// unopened probes a component that is not open yet.
type unopened struct {
	opening   *opening
	component string
}

// Probe returns what the component waits for.
func (u unopened) Probe(context.Context) error {
	u.opening.mu.Lock()
	defer u.opening.mu.Unlock()
	if cause := u.opening.awaits[u.component]; cause != nil {
		return fmt.Errorf("not open yet: %w", cause)
	}
	return errNotOpen
}

// probes stand for the components of the queue until it is open.
func (o *opening) probes() []probe {
	return []probe{{"queue", unopened{o, "queue"}}, {"store", unopened{o, "store"}}}
}

// The ports of an opening, which fail until it is open.
type (
	openingIntake  struct{ *opening }
	openingResults struct{ *opening }
	openingLetters struct{ *opening }
	openingGauge   struct{ *opening }
	openingBackups struct{ *opening }
)

// Accept implements ports.Intake.
func (o openingIntake) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	queue, err := o.get()
	if err != nil {
		refused := make([]ports.Accepted, len(reqs))
		for i := range refused {
			refused[i].Err = err
		}
		return refused
	}
	return queue.Intake.Accept(ctx, reqs)
}

// Cancel implements ports.Intake.
func (o openingIntake) Cancel(ctx context.Context, id domain.ID) (domain.Record, error) {
	queue, err := o.get()
	if err != nil {
		return domain.Record{}, err
	}
	return queue.Intake.Cancel(ctx, id)
}

// State implements ports.Results.
func (o openingResults) State(ctx context.Context, id domain.ID) (domain.Record, error) {
	queue, err := o.get()
	if err != nil {
		return domain.Record{}, err
	}
	return queue.Results.State(ctx, id)
}

// Find implements ports.Results.
func (o openingResults) Find(ctx context.Context, id domain.ID) (domain.Record, error) {
	queue, err := o.get()
	if err != nil {
		return domain.Record{}, err
	}
	return queue.Results.Find(ctx, id)
}

// Wait implements ports.Results.
func (o openingResults) Wait(ctx context.Context, id domain.ID) (domain.Record, error) {
	queue, err := o.get()
	if err != nil {
		return domain.Record{}, err
	}
	return queue.Results.Wait(ctx, id)
}

// List implements ports.DeadLetters.
func (o openingLetters) List(ctx context.Context, filter ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
	queue, err := o.get()
	if err != nil {
		return ports.DeadLetterPage{}, err
	}
	return queue.Letters.List(ctx, filter)
}

// State implements ports.DeadLetters.
func (o openingLetters) State(ctx context.Context, id domain.ID) (domain.DeadLetter, error) {
	queue, err := o.get()
	if err != nil {
		return domain.DeadLetter{}, err
	}
	return queue.Letters.State(ctx, id)
}

// Find implements ports.DeadLetters.
func (o openingLetters) Find(ctx context.Context, id domain.ID) (domain.DeadLetter, error) {
	queue, err := o.get()
	if err != nil {
		return domain.DeadLetter{}, err
	}
	return queue.Letters.Find(ctx, id)
}

// Delete implements ports.DeadLetters.
func (o openingLetters) Delete(ctx context.Context, id domain.ID) error {
	queue, err := o.get()
	if err != nil {
		return err
	}
	return queue.Letters.Delete(ctx, id)
}

// Depths implements ports.Gauge.
func (o openingGauge) Depths(ctx context.Context) (ports.Depths, error) {
	queue, err := o.get()
	if err != nil {
		return ports.Depths{}, err
	}
	return queue.Gauge.Depths(ctx)
}

// Backup implements ports.Backups.
func (o openingBackups) Backup(ctx context.Context) (string, error) {
	queue, err := o.get()
	if err != nil {
		return "", err
	}
	return queue.Backups.Backup(ctx)
}

// backups returns what makes backups; nil: none are configured.
func backups(config configs.Config, o *opening) ports.Backups {
	if config.Queue.Type != configs.QueueEmbedded || config.Embedded.BackupDir == "" {
		return nil
	}
	return openingBackups{o}
}
