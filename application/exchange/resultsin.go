package exchange

import (
	"context"
	"errors"
	"fmt"
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
	ignored  *ignored
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
	return &ResultsIn{
		source: source, outcomes: outcomes, opts: opts, ignored: newIgnored("results", opts.Now, opts.Logger),
	}
}

// Run ends requests and settles the messages. The first result of a request counts, and later ones change nothing. A
// message that cannot be read becomes a dead letter with an id of its own, and the request that it names ends FAILED. A
// result whose request is unknown is logged and settled.
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
			r, errs[i] = in.reject(ctx, &received[i], r.ID, err)
			if errs[i] != nil || r.ID == "" {
				continue
			}
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
	if err := missing(m); err != nil {
		return envelope.Result{}, err
	}
	r, err := envelope.ReadResult(m.Value, m.Arrived, in.opts.MaxSize)
	if err == nil {
		in.ignored.note(r.ID, r.Ignored)
	}
	return r, err
}

// reject makes a dead letter of a message that cannot be read. It returns how the request ends that it names: nobody
// sends another result of it.
func (in *ResultsIn) reject(
	ctx context.Context, m *ports.Received, named domain.ID, cause error,
) (envelope.Result, error) {
	letter := derivedID(resultPrefix, m.Place)
	err := in.outcomes.RejectResult(ctx, rejected(m, domain.Request{
		ID: letter, SubmittedAt: m.Arrived, Deadline: m.Arrived,
	}, resultPrefix, cause))
	return envelope.Result{ID: named, Status: domain.Failed, Result: domain.Result{
		Reason: domain.ReasonBadResult, Error: fmt.Sprintf("%v (the message is dead letter %s)", cause, letter),
		CompletedAt: in.opts.Now(),
	}}, err
}

// warn logs that a request is unknown: it ended long ago, or it is another queue's.
func (in *ResultsIn) warn(id domain.ID) {
	if n := in.unknown.Note(in.opts.Now()); n > 0 {
		in.opts.Logger.Warn("results of unknown requests are dropped", "count", n, "correlation_id", id)
	}
}
