package paired

import (
	"context"
	"log/slog"
	"time"

	"github.com/openhqm/openhqm/ports"
)

const (
	// confirmWithin bounds the time from a record to its message: what took longer is not confirmed. It is more than a
	// Publish usually takes.
	confirmWithin = 30 * time.Second
	// SuspectAge is how old a record must be whose message should be in the carrier by now, or is not confirmed.
	SuspectAge = confirmWithin + 15*time.Second
	// LookEvery is how often Losses looks. While nothing waits for long that is one question to the store.
	LookEvery = 5 * time.Second
	// lossesAtOnce bounds one step of the store.
	lossesAtOnce = 256
)

// Losses finds requests whose messages the carrier has lost (a purge, a topic that was deleted, retention, or a publish
// that was never confirmed) and ends them: no worker would ever receive them.
//
// It compares no clocks. While the store has suspects, it marks what the carrier has. Once all of that has left the
// carrier, a suspect from before the mark that nobody has begun has no message there.
type Losses struct {
	carrier ports.Marking
	store   ports.Losses
	opts    LossOptions

	mark   ports.Mark // nil: no suspects are known
	before time.Time  // suspects are older, by the store's clock; read before the mark was made
}

// LossOptions say how to find what is lost.
type LossOptions struct {
	Age    time.Duration // SuspectAge; nothing younger is lost
	Every  time.Duration // LookEvery
	Logger *slog.Logger

	Originals bool // the store has the originals; only for the log
}

// NewLosses returns a Losses for a carrier and the store beside it.
func NewLosses(carrier ports.Marking, store ports.Losses, opts LossOptions) *Losses {
	return &Losses{carrier: carrier, store: store, opts: opts}
}

// Run looks every few seconds until ctx ends. What fails is tried again: carrier and store log their own outages.
func (l *Losses) Run(ctx context.Context) error {
	ticker := time.NewTicker(l.opts.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.look(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// look does one step: it makes a mark, or asks whether the mark has passed. An answer that is missing changes nothing.
func (l *Losses) look(ctx context.Context) {
	before, err := l.store.Suspects(ctx, l.opts.Age)
	switch {
	case err != nil:
	case before.IsZero(): // all were begun, or another process looks
		l.mark = nil
	case l.mark == nil:
		if mark, err := l.carrier.Mark(ctx); err == nil {
			l.mark, l.before = mark, before
		}
	default:
		if passed, err := l.mark.Passed(ctx); err == nil && passed {
			l.mark = nil
			l.end(ctx)
		}
	}
}

// end ends the suspects from before the mark.
func (l *Losses) end(ctx context.Context) {
	total, ended := 0, lossesAtOnce
	var err error
	for ended == lossesAtOnce && err == nil {
		ended, err = l.store.EndLost(ctx, l.before, lossesAtOnce)
		total += ended
	}
	if total > 0 {
		l.opts.Logger.Error("the broker has no messages of some requests (deleted, or never confirmed); they ended FAILED",
			"count", total, "originals_kept", l.opts.Originals)
	}
}
