package worker

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// pauseSlack is by how much two ends of a pause must differ to be told apart. Each of many calls that are answered with
// the same Retry-After has an end of its own, and so has the way to the store and back.
const pauseSlack = 500 * time.Millisecond

// SharePauses tells other processes when backends ask to be left alone (Retry-After), and heeds what backends asked of
// those. It blocks until ctx ends. It retries while the store is away, and returns an error when the store is closed.
func (g *Gates) SharePauses(ctx context.Context, pauses ports.Pauses) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var following sync.WaitGroup
	var followed error
	following.Go(func() {
		defer end()
		followed = pauses.Follow(ctx, g.heed)
	})
	published := g.publishPauses(ctx, pauses)
	end()
	following.Wait()
	return cmp.Or(followed, published)
}

// publishPauses shares each pause once.
func (g *Gates) publishPauses(ctx context.Context, pauses ports.Pauses) error {
	var backoff outage.Backoff
	for {
		select {
		case <-g.paused:
		case <-ctx.Done():
			return nil
		}
		for p, more := g.unshared(); more; p, more = g.unshared() {
			until := g.now().Add(p.Left)
			err := pauses.Pause(ctx, p)
			switch {
			case err == nil:
				backoff.Reset()
				g.noteShared(p, until)
			case errors.Is(err, ports.ErrClosed):
				return err
			case !backoff.Wait(ctx):
				return nil
			}
		}
	}
}

// unshared returns a pause that other processes do not know yet; false when there is none.
func (g *Gates) unshared() (ports.Pause, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for _, gate := range g.gates {
		if gate.why == whyPaused && gate.paused.After(now) && gate.paused.Sub(gate.shared) >= pauseSlack {
			return ports.Pause{Endpoint: gate.name, URL: gate.limit.URL, Left: gate.paused.Sub(now)}, true
		}
	}
	return ports.Pause{}, false
}

func (g *Gates) noteShared(p ports.Pause, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gate := g.of(p); gate != nil {
		gate.shared = until
	}
}

// heed pauses an endpoint whose backend asked another process for it.
func (g *Gates) heed(p ports.Pause) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	until := now.Add(min(p.Left, maxPause))
	gate := g.of(p)
	if gate == nil || until.Sub(gate.paused) < pauseSlack {
		return
	}
	if !gate.paused.After(now) {
		if n := gate.pauses.begin(now); n > 0 {
			g.logger.Warn("endpoint paused: its backend asked another process for it by Retry-After",
				"endpoint", gate.name, "until", until, "pauses", n)
		}
	}
	gate.pause(until, whyPaused)
	gate.shared = until
	g.change()
}

// of returns the gate that a pause is about; nil: none has that backend. Called with mu held.
func (g *Gates) of(p ports.Pause) *gate {
	gate := g.gates[p.Endpoint]
	if gate == nil || gate.limit.URL != p.URL {
		return nil
	}
	return gate
}
