package application

import (
	"context"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Cancel takes requests back that no worker has begun.
type Cancel struct {
	results ports.Results
	intake  ports.Intake
}

var _ ports.Canceller = (*Cancel)(nil)

// NewCancel makes the use-case.
func NewCancel(results ports.Results, intake ports.Intake) *Cancel {
	return &Cancel{results: results, intake: intake}
}

// Cancel asks first whose request it is; an owner never changes, so there is no race in that.
func (c *Cancel) Cancel(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	rec, err := c.results.State(ctx, id)
	if _, err := visible(caller, rec, err); err != nil {
		return domain.Record{}, err
	}
	return c.intake.Cancel(ctx, id)
}
