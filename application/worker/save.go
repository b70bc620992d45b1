package worker

import (
	"context"
	"errors"
	"time"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

const (
	saveTimeout = 30 * time.Second // of one try to save a group
	warnEvery   = time.Minute      // at most one warning about unsaved outcomes in this time
)

// saveOutcomes saves outcomes in groups: those that gather while one group is being saved are the next one. Outcomes
// that could not be saved are in it again, after a pause, so that they delay the others only briefly. Deliveries stay
// charged until they are saved, so that a store which is away stops the pool instead of results piling up.
func (p *Pool) saveOutcomes(ctx context.Context) {
	var unsaved []finished
	var quiet time.Time // no warning before then
	var pause outage.Backoff
	for {
		group := p.gather(unsaved)
		if len(group) == 0 {
			return
		}
		var cause error
		if unsaved, cause = p.save(ctx, group); cause == nil {
			pause.Reset()
			continue
		}
		if now := p.opts.Now(); !now.Before(quiet) {
			quiet = now.Add(warnEvery)
			p.opts.Logger.Warn("outcomes not saved; retrying until the store confirms them",
				"waiting", len(unsaved), "error", cause)
		}
		if !pause.Wait(ctx) {
			p.opts.Logger.Error("outcomes not saved before shutdown; the backends will be called again for them",
				"requests", len(unsaved))
			unsaved = nil
		}
	}
}

// gather adds the outcomes that are there to a group. If the group is empty it blocks for a first one. It returns an
// empty group when no more will come.
func (p *Pool) gather(group []finished) []finished {
	if len(group) == 0 {
		first, open := <-p.finished
		if !open {
			return nil
		}
		group = append(group, first)
	}
	for {
		select {
		case s, open := <-p.finished:
			if !open {
				return group
			}
			group = append(group, s)
		default:
			return group
		}
	}
}

// save tries once to save a group. It returns the outcomes that must be tried again, and why.
func (p *Pool) save(ctx context.Context, group []finished) (unsaved []finished, cause error) {
	finishes := make([]ports.Finish, len(group))
	for i := range group {
		finishes[i] = group[i].finish
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	for i, err := range p.work.Finish(ctx, finishes) {
		// A closed queue saves nothing more; it hands the request out again when it is next opened.
		if err == nil || errors.Is(err, ports.ErrLost) || errors.Is(err, ports.ErrClosed) {
			p.memory.release(group[i].endpoint, group[i].reserved)
			p.capacity.saved(&group[i])
			continue
		}
		unsaved, cause = append(unsaved, group[i]), err
	}
	p.condition.Store(&cause)
	return unsaved, cause
}
