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

// Wait gives a record without its result, and waits for it to become final.
func (p *Poll) Wait(
	ctx context.Context, caller ports.Caller, id domain.ID, wait time.Duration,
) (domain.Record, error) {
	// Nobody waits for a record that is not theirs.
	rec, err := p.State(ctx, caller, id)
	if err != nil || rec.Status.Final() || wait <= 0 {
		return rec, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	rec, err = p.results.Wait(ctx, id)
	return visible(caller, rec, err)
}

// Find gives a whole record.
func (p *Poll) Find(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	rec, err := p.results.Find(ctx, id)
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
