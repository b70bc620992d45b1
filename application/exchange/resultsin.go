package exchange

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

// ResultsIn ends requests with the results that other programs publish.
type ResultsIn struct {
	source   ports.Receiver
	outcomes ports.Outcomes
	opts     ResultsInOptions
	unknown  outage.Rarely // results whose request is not in the store
}

// ResultsInOptions say how results are read. All fields are needed.
type ResultsInOptions struct {
	MaxSize int // of a message, in bytes
	Now     func() time.Time
	Logger  *slog.Logger
}

// NewResultsIn returns a ResultsIn that reads from source and saves to outcomes.
func NewResultsIn(source ports.Receiver, outcomes ports.Outcomes, opts ResultsInOptions) *ResultsIn {
	return &ResultsIn{source: source, outcomes: outcomes, opts: opts}
}

// Run ends requests and settles the messages. The first result of a request counts, and later ones change nothing. A
// message that cannot be read becomes a dead letter with an id of its own; one whose request is unknown is logged and
// settled.
//
// Run blocks until ctx ends, and retries while the broker or the store is away. It returns an error when the source is
// closed before. Any number of processes may share the source.
func (in *ResultsIn) Run(ctx context.Context) error { return receive(ctx, in.source, in.save) }

func (in *ResultsIn) save(ctx context.Context, received []ports.Received) []error {
	errs := make([]error, len(received))
	var conclusions []ports.Conclusion
	var places []int // of conclusions, in received
	for i := range received {
		r, err := in.read(&received[i])
		if err != nil {
			errs[i] = in.reject(ctx, &received[i], err)
			continue
		}
		conclusions = append(conclusions, ports.Conclusion{ID: r.ID, Status: r.Status, Result: r.Result})
		places = append(places, i)
	}
	if len(conclusions) == 0 {
		return errs
	}
	for n, err := range in.outcomes.Conclude(ctx, conclusions) {
		if errors.Is(err, ports.ErrNotFound) {
			in.warn(conclusions[n].ID)
			err = nil
		}
		errs[places[n]] = err
	}
	return errs
}

func (in *ResultsIn) read(m *ports.Received) (envelope.Result, error) {
	if m.Value == nil {
		return envelope.Result{}, errNoValue
	}
	return envelope.ReadResult(m.Value, m.Arrived, in.opts.MaxSize)
}

// reject makes a dead letter of a message that cannot be read.
func (in *ResultsIn) reject(ctx context.Context, m *ports.Received, cause error) error {
	id := derivedID(resultPrefix, m.Place)
	req := domain.Request{ID: id, SubmittedAt: m.Arrived, Deadline: m.Arrived}
	return in.outcomes.RejectResult(ctx, req, m.Value, cause)
}

// warn logs that a request is unknown: it ended long ago, or it is another queue's.
func (in *ResultsIn) warn(id domain.ID) {
	if n := in.unknown.Note(in.opts.Now()); n > 0 {
		in.opts.Logger.Warn("results of unknown requests are dropped", "count", n, "correlation_id", id)
	}
}
