package application

import (
	"context"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Cancel is the use-case that cancels requests which no worker has begun. It is safe for concurrent use.
type Cancel struct {
	results ports.Results
	intake  ports.Intake
}

var _ ports.Canceller = (*Cancel)(nil)

// NewCancel returns the use-case.
func NewCancel(results ports.Results, intake ports.Intake) *Cancel {
	return &Cancel{results: results, intake: intake}
}

// Cancel implements ports.Canceller. It first checks whose request it is; an owner never changes, so that is no race.
func (c *Cancel) Cancel(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	rec, err := c.results.State(ctx, id)
	if _, err := visible(caller, rec, err); err != nil {
		return domain.Record{}, err
	}
	return c.intake.Cancel(ctx, id)
}
