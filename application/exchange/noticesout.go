package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

const (
	lastRounds     = time.Second // what is owed when Run is to end may still be published for so long
	publishTimeout = 30 * time.Second
)

// NoticesOut publishes the notices of one kind for other programs.
type NoticesOut struct {
	outbox ports.Outbox
	outlet ports.Publisher
	kind   kind
	opts   NoticesOutOptions
	gone   outage.Rarely // notices whose request is gone

	mu     sync.Mutex // guards what follows
	stuck  error      // why the last notices were not published; nil: they were
	logged time.Time  // when that was logged
}

var _ ports.Probe = (*NoticesOut)(nil)

// NoticesOutOptions say how notices are written. All fields are needed.
type NoticesOutOptions struct {
	To            string                 // the name of the outlet, for operators
	ResultURL     func(domain.ID) string // where a result can be fetched that is too large for a message
	DeadLetterURL func(domain.ID) string // where a dead letter can be fetched, likewise
	Now           func() time.Time
	Logger        *slog.Logger
}

// NewResultsOut returns a NoticesOut for an outbox of results. What is too large for the outlet in every form is
// dropped, and stays in the store for its lifetime.
func NewResultsOut(outbox ports.Outbox, outlet ports.Publisher, opts NoticesOutOptions) *NoticesOut {
	return &NoticesOut{outbox: outbox, outlet: outlet, kind: results(&opts), opts: opts}
}

// NewDeadLettersOut returns a NoticesOut for an outbox of dead letters. What is too large is dropped, as for results.
func NewDeadLettersOut(outbox ports.Outbox, outlet ports.Publisher, opts NoticesOutOptions) *NoticesOut {
	return &NoticesOut{outbox: outbox, outlet: outlet, kind: deadLetters(&opts), opts: opts}
}

// NewHandoversOut returns a NoticesOut for an outbox of handovers. What is too large for the outlet ends FAILED.
func NewHandoversOut(
	outbox ports.Outbox, outlet ports.Publisher, outcomes ports.Outcomes, opts NoticesOutOptions,
) *NoticesOut {
	return &NoticesOut{outbox: outbox, outlet: outlet, kind: handovers(outcomes, &opts), opts: opts}
}

// Run publishes every notice at least once. It blocks until ctx ends, and for about a second more at most, in which it
// publishes what is left. It retries while the store or the outlet is away. It returns an error when the outbox is
// closed before. Any number of processes may share the outbox.
func (out *NoticesOut) Run(ctx context.Context) error {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastRounds, cancel) })
	defer stop()
	var pause outage.Backoff
	for ctx.Err() == nil {
		n, err := out.round(lasting)
		switch {
		case errors.Is(err, ports.ErrClosed):
			return err
		case err != nil:
			pause.Wait(ctx)
			continue
		case n == 0:
			out.outbox.Wait(ctx)
		}
		pause.Reset()
	}
	out.outbox.Wait(ctx) // ctx has ended: this only makes what came during the last round known to Due
	out.finish(lasting)
	return nil
}

// finish publishes what is left, so that it does not wait for another process.
func (out *NoticesOut) finish(ctx context.Context) {
	var pause outage.Backoff
	for ctx.Err() == nil {
		n, err := out.round(ctx)
		switch {
		case errors.Is(err, ports.ErrClosed), err == nil && n == 0:
			return
		case err != nil:
			pause.Wait(ctx)
		}
	}
}

// round publishes some of what is owed, and returns how many notices it was about.
func (out *NoticesOut) round(ctx context.Context) (int, error) {
	due, err := out.outbox.Due(ctx)
	if err != nil {
		return 0, err
	}
	failure := error(nil)
	done := make([]ports.Notice, 0, len(due))
	for i, err := range out.publish(ctx, due) {
		if err == nil {
			done = append(done, due[i])
		} else {
			failure = err
		}
	}
	out.note(failure)
	if len(done) > 0 {
		failure = errors.Join(failure, out.outbox.Done(ctx, done))
	}
	return len(due), failure
}

// remindEvery is how often the log repeats that notices are not published.
const remindEvery = time.Minute

// note notes how a round ended; nil: everything that is known to be owed was published.
func (out *NoticesOut) note(failure error) {
	if errors.Is(failure, ports.ErrClosed) {
		return
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	log := out.opts.Logger.With("kind", out.kind.name, "to", out.opts.To)
	now := out.opts.Now()
	switch {
	case failure == nil && out.stuck != nil:
		log.Info("notices are published again")
	case failure != nil && (out.stuck == nil || now.Sub(out.logged) >= remindEvery):
		out.logged = now
		log.Error("notices are not published; trying again until they are (check what they go to)", "error", failure)
	}
	out.stuck = failure
}

// Probe returns a ports.Degraded while notices cannot be published: everything else goes on. It does not block.
func (out *NoticesOut) Probe(context.Context) error {
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.stuck == nil {
		return nil
	}
	return ports.Degraded(fmt.Sprintf("notices of %s are not published to %s: %v", out.kind.name, out.opts.To, out.stuck))
}

// attempt is one notice in a round.
type attempt struct {
	notice *ports.Notice
	err    error // nil: it is done
}

// publish publishes each notice in the first form that is not too large for the outlet. The errors are aligned.
func (out *NoticesOut) publish(ctx context.Context, due []ports.Notice) []error {
	all := make([]attempt, len(due))
	left := make([]*attempt, len(due))
	for i := range due {
		all[i].notice = &due[i]
		left[i] = &all[i]
	}
	for _, write := range out.kind.forms {
		left = out.publishAs(ctx, write, left)
	}
	for _, a := range left {
		a.err = out.kind.giveUp(ctx, a.notice.ID, a.err)
	}
	errs := make([]error, len(all))
	for i := range all {
		errs[i] = all[i].err
	}
	return errs
}

// publishAs publishes notices in one form, and returns those that are too large in it.
func (out *NoticesOut) publishAs(ctx context.Context, write form, all []*attempt) (tooLarge []*attempt) {
	var sent []*attempt
	var messages []ports.QueueMessage
	for _, a := range all {
		a.err = nil
		value, err := write(a.notice)
		if err != nil {
			out.skip(a.notice.ID, err)
			continue
		}
		sent, messages = append(sent, a), append(messages, ports.QueueMessage{ID: a.notice.ID, Value: value})
	}
	if len(sent) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	for i, err := range out.outlet.Publish(ctx, messages) {
		if sent[i].err = err; errors.Is(err, ports.ErrTooLarge) {
			tooLarge = append(tooLarge, sent[i])
		}
	}
	return tooLarge
}

// skip logs that a notice has no message, which is no reason to try again. That it needs none is no loss.
func (out *NoticesOut) skip(id domain.ID, cause error) {
	if errors.Is(cause, errNotNeeded) {
		return
	}
	if n := out.gone.Note(out.opts.Now()); n > 0 {
		out.opts.Logger.Warn("notices are dropped: their requests are gone", "kind", out.kind.name, "count", n,
			"correlation_id", id, "error", cause)
	}
}
