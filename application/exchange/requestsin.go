package exchange

import (
	"context"

	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// RequestsIn turns messages of other programs into requests.
type RequestsIn struct {
	source ports.Receiver
	intake ports.ForeignIntake
	reader func() envelope.Reader
}

// NewRequestsIn returns a RequestsIn that reads from source and saves to intake. Messages are read by what reader
// returns at that moment. What cannot be read becomes a dead letter.
func NewRequestsIn(
	source ports.Receiver, intake ports.ForeignIntake, reader func() envelope.Reader,
) *RequestsIn {
	return &RequestsIn{source: source, intake: intake, reader: reader}
}

// Run saves requests and settles their messages. It blocks until ctx ends, and retries while the broker or the store is
// away or full. It returns an error when the source is closed before. Any number of processes may share the source.
func (in *RequestsIn) Run(ctx context.Context) error { return receive(ctx, in.source, in.save) }

func (in *RequestsIn) save(ctx context.Context, received []ports.Received) []error {
	errs := make([]error, len(received))
	var arrivals []ports.Arrival
	var places []int // of arrivals, in received
	reader := in.reader()
	for i := range received {
		m, err := read(reader, &received[i], requestPrefix)
		if err != nil {
			errs[i] = in.intake.Reject(ctx, m.Request, received[i].Value, err)
			continue
		}
		arrivals = append(arrivals, ports.Arrival{Request: m.Request, Attempts: m.RetryCount})
		places = append(places, i)
	}
	if len(arrivals) > 0 {
		for n, err := range in.intake.AcceptForeign(ctx, arrivals) {
			errs[places[n]] = err
		}
	}
	return errs
}
