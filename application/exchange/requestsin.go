package exchange

import (
	"context"
	"errors"

	"github.com/openhqm/openhqm/ports"
)

// RequestsIn turns messages of other programs into requests.
type RequestsIn struct {
	source ports.Receiver
	intake ports.ForeignIntake
	reader *Reader
}

// NewRequestsIn returns a RequestsIn that reads from source and saves to intake. What the reader cannot read becomes a
// dead letter, and so does a message whose id belongs to another request.
func NewRequestsIn(source ports.Receiver, intake ports.ForeignIntake, reader *Reader) *RequestsIn {
	return &RequestsIn{source: source, intake: intake, reader: reader}
}

// Run saves requests and settles their messages. It blocks until ctx ends, and retries while the broker or the store is
// away or full. It returns an error when the source is closed before. Any number of processes may share the source.
func (in *RequestsIn) Run(ctx context.Context) error { return receive(ctx, in.source, in.save) }

func (in *RequestsIn) save(ctx context.Context, received []ports.Received) []error {
	errs := make([]error, len(received))
	var arrivals []ports.Arrival
	var places []int // of arrivals, in received
	for i := range received {
		m, err := in.reader.read(&received[i], requestPrefix)
		if err != nil {
			errs[i] = in.intake.Reject(ctx, rejected(&received[i], m.Request, requestPrefix, err))
			continue
		}
		arrivals = append(arrivals, ports.Arrival{Request: m.Request, Attempts: m.RetryCount})
		places = append(places, i)
	}
	if len(arrivals) == 0 {
		return errs
	}
	for n, err := range in.intake.AcceptForeign(ctx, arrivals) {
		if errors.Is(err, ports.ErrIDUsed) {
			err = in.intake.Reject(ctx, idUsed(&received[places[n]], arrivals[n].Request, requestPrefix))
		}
		errs[places[n]] = err
	}
	return errs
}
