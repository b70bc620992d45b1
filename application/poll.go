package application

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Poll reads records for those who may see them.
type Poll struct {
	results ports.Results
}

var _ ports.Poller = (*Poll)(nil)

// NewPoll makes the use-case.
func NewPoll(results ports.Results) *Poll { return &Poll{results: results} }

// State gives a record without its result.
func (p *Poll) State(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	rec, err := p.results.State(ctx, id)
	return visible(caller, rec, err)
}

// Find gives a whole record and waits for it to become final, if told to.
func (p *Poll) Find(
	ctx context.Context, caller ports.Caller, id domain.ID, wait time.Duration,
) (domain.Record, error) {
	if wait <= 0 {
		rec, err := p.results.Find(ctx, id)
		return visible(caller, rec, err)
	}
	// Nobody waits for a record that is not theirs.
	if _, err := p.State(ctx, caller, id); err != nil {
		return domain.Record{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	rec, err := p.results.Wait(ctx, id)
	return visible(caller, rec, err)
}

// visible hides the records of others, as if there were none.
func visible(caller ports.Caller, rec domain.Record, err error) (domain.Record, error) {
	if err != nil {
		return domain.Record{}, err
	}
	if rec.Owner != caller.Name && !caller.Admin {
		return domain.Record{}, ports.ErrNotFound
	}
	return rec, nil
}
