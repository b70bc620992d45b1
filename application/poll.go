package application

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Poll is the use-case that reads records for callers who may see them. It is safe for concurrent use.
type Poll struct {
	results ports.Results
}

var _ ports.Poller = (*Poll)(nil)

// NewPoll returns the use-case.
func NewPoll(results ports.Results) *Poll { return &Poll{results: results} }

// State implements ports.Poller.
func (p *Poll) State(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	rec, err := p.results.State(ctx, id)
	return visible(caller, rec, err)
}

// Wait implements ports.Poller. It checks first whether the caller may see the record.
func (p *Poll) Wait(
	ctx context.Context, caller ports.Caller, id domain.ID, wait time.Duration,
) (domain.Record, error) {
	rec, err := p.State(ctx, caller, id)
	if err != nil || rec.Status.Final() || wait <= 0 {
		return rec, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	rec, err = p.results.Wait(ctx, id)
	return visible(caller, rec, err)
}

// Find implements ports.Poller.
func (p *Poll) Find(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	rec, err := p.results.Find(ctx, id)
	return visible(caller, rec, err)
}

// visible returns the record if the caller may see it. A record of another owner looks as if it did not exist.
func visible(caller ports.Caller, rec domain.Record, err error) (domain.Record, error) {
	if err != nil {
		return domain.Record{}, err
	}
	if rec.Owner != caller.Name && !caller.Admin {
		return domain.Record{}, ports.ErrNotFound
	}
	return rec, nil
}
