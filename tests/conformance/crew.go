package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// crew is consumers at work in the background. They complete what comes, and insist that nothing comes twice.
type crew struct {
	group  *errgroup.Group
	ctx    context.Context // ends when the crew is to stop, or one of it fails
	cancel context.CancelFunc
	saving context.Context // outlives the stop: what was begun is finished
	seen   sync.Map        // domain.ID: handed out
}

func (e *env) newCrew() *crew {
	ctx, cancel := context.WithCancel(e.ctx)
	e.t.Cleanup(cancel)
	c := &crew{cancel: cancel, saving: e.ctx}
	c.group, c.ctx = errgroup.WithContext(ctx)
	return c
}

// join adds a consumer that receives count at a time.
func (c *crew) join(w ports.Work, count int) {
	c.joinWith(w, func() ([]ports.Delivery, error) { return w.Receive(c.ctx, plenty(count)) })
}

// joinWith adds a consumer that receives in its own way.
func (c *crew) joinWith(w ports.Work, receive func() ([]ports.Delivery, error)) {
	c.group.Go(func() error {
		for c.ctx.Err() == nil {
			deliveries, err := receive()
			if err != nil && c.ctx.Err() == nil {
				return fmt.Errorf("receive: %w", err)
			}
			if err != nil && len(deliveries) > 0 {
				return errors.New("receive: deliveries together with an error")
			}
			if err := c.complete(w, deliveries); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *crew) complete(w ports.Work, deliveries []ports.Delivery) error {
	for _, d := range deliveries {
		if _, twice := c.seen.LoadOrStore(d.Request.ID, true); twice || d.Deliveries != 1 {
			return fmt.Errorf("%s was handed out twice", d.Request.ID)
		}
		if err := w.Finish(c.saving, []ports.Finish{finishOf(d, completed(d))})[0]; err != nil {
			return fmt.Errorf("finish: %w", err)
		}
	}
	return nil
}

func (c *crew) handedOut(id domain.ID) bool {
	_, found := c.seen.Load(id)
	return found
}

// final waits until the request is final, or fails with the crew.
func (e *env) final(c *crew, id domain.ID) domain.Record {
	e.t.Helper()
	record, err := e.Results.Wait(c.ctx, id)
	if err != nil || !record.Status.Final() {
		require.NoError(e.t, c.stop(), "the crew")
		require.NoError(e.t, err)
		require.Fail(e.t, "a request never becomes final", "%s is %s", id, record.Status)
	}
	return record
}

// stop ends the crew and returns its fault.
func (c *crew) stop() error {
	c.cancel()
	return c.group.Wait()
}

// requireCompleted waits until the crew has completed all of it, and stops the crew.
func (e *env) requireCompleted(c *crew, reqs []domain.Request) {
	e.t.Helper()
	for _, r := range reqs {
		require.Equal(e.t, domain.Completed, e.final(c, r.ID).Status)
	}
	require.NoError(e.t, c.stop())
}
