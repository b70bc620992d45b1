package paired

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Bounds of what is taken in at once: all of it is in memory, with what is made of it.
const (
	resultsAtOnce = 64
	resultsBytes  = 16 << 20
)

// resultPlace is what ids begin with of results that cannot be read.
const resultPlace = "result-"

// ResultsIn takes in what other programs made of requests.
type ResultsIn struct {
	source   ports.Receiver
	outcomes ports.Outcomes
	opts     ResultsInOptions
	unknown  outage.Rarely // results of requests that there are not
}

// ResultsInOptions say how results are taken in.
type ResultsInOptions struct {
	MaxSize int // of a message, in bytes
	Now     func() time.Time
	Logger  *slog.Logger
}

// NewResultsIn makes a ResultsIn of where results come from and where they go.
func NewResultsIn(source ports.Receiver, outcomes ports.Outcomes, opts ResultsInOptions) *ResultsIn {
	return &ResultsIn{source: source, outcomes: outcomes, opts: opts}
}

// Run makes requests final by the result messages that come. The first one of a request counts, and those after it
// change nothing. A message is let go when that is durable. One that cannot be read becomes a dead letter with an id of
// its own; one whose request is not there is logged. Any number of processes may share the source.
//
// Run blocks until ctx ends; while the broker or the store is away it goes on trying. That the source is closed before
// is an error.
func (in *ResultsIn) Run(ctx context.Context) error {
	var pause outage.Backoff
	for ctx.Err() == nil {
		received, err := in.source.Receive(ctx, resultsAtOnce, resultsBytes)
		switch {
		case len(received) > 0:
			pause.Reset()
			in.take(ctx, received)
		case ctx.Err() != nil:
		case errors.Is(err, ports.ErrClosed):
			return err
		default:
			pause.Wait(ctx)
		}
	}
	return nil
}

// take takes messages in, again and again if need be. What is left when ctx ends another process is handed.
func (in *ResultsIn) take(ctx context.Context, left []ports.Received) {
	var pause outage.Backoff
	for {
		if left = in.try(context.WithoutCancel(ctx), left); len(left) == 0 || !pause.Wait(ctx) {
			return
		}
	}
}

// try takes messages in once, and gives those that were not confirmed.
func (in *ResultsIn) try(ctx context.Context, received []ports.Received) (left []ports.Received) {
	var conclusions []ports.Conclusion
	var concluded []ports.Received
	var done []ports.Ticket
	for i := range received {
		m := &received[i]
		r, err := envelope.ReadResult(m.Value, m.Arrived, in.opts.MaxSize)
		switch {
		case err == nil:
			conclusions = append(conclusions, ports.Conclusion{ID: r.ID, Status: r.Status, Result: r.Result})
			concluded = append(concluded, *m)
		case in.reject(ctx, m, err) == nil:
			done = append(done, m.Ticket)
		default:
			left = append(left, *m)
		}
	}
	if len(conclusions) > 0 {
		for i, err := range in.outcomes.Conclude(ctx, conclusions) {
			switch {
			case errors.Is(err, ports.ErrNotFound):
				in.warn(conclusions[i].ID)
			case err != nil:
				left = append(left, concluded[i])
				continue
			}
			done = append(done, concluded[i].Ticket)
		}
	}
	if len(done) > 0 {
		in.source.Settle(done)
	}
	return left
}

// reject makes a dead letter of a message that cannot be read.
func (in *ResultsIn) reject(ctx context.Context, m *ports.Received, cause error) error {
	id := derivedID(resultPlace, m.Place)
	req := domain.Request{ID: id, SubmittedAt: m.Arrived, Deadline: m.Arrived}
	return in.outcomes.RejectResult(ctx, req, m.Value, cause)
}

// warn tells of a result whose request is not there: long final, or of another queue.
func (in *ResultsIn) warn(id domain.ID) {
	if n := in.unknown.Note(in.opts.Now()); n > 0 {
		in.opts.Logger.Warn("results of unknown requests are dropped", "count", n, "correlation_id", id)
	}
}
