package paired

import (
	"context"

	"github.com/openhqm/openhqm/ports"
)

// Gauge adds to the depths of the store what only the queue has: foreign messages that no worker has received yet, and
// whatever a store that lost its data has forgotten. It implements ports.Gauge.
type Gauge struct {
	queue ports.Lagging
	store ports.Gauge
}

var _ ports.Gauge = (*Gauge)(nil)

// NewGauge returns a Gauge of queue and store.
func NewGauge(queue ports.Lagging, store ports.Gauge) *Gauge {
	return &Gauge{queue: queue, store: store}
}

// Depths returns an approximation, and what the store knows alone while the queue is away. It asks queue and store at
// the same time, so that one that hangs does not use up the other's time.
func (g *Gauge) Depths(ctx context.Context) (ports.Depths, error) {
	lagging := make(chan ports.Lag, 1)
	go func() {
		lag, err := g.queue.Lag(ctx)
		if err != nil {
			lag = ports.Lag{}
		}
		lagging <- lag
	}()
	d, err := g.store.Depths(ctx)
	lag := <-lagging
	if err != nil {
		return ports.Depths{}, err
	}
	d.Approximate = true
	unknown := lag.Messages - d.Carried
	if unknown <= 0 {
		return d, nil
	}
	d.Ready += unknown
	if d.OldestReady.IsZero() || !lag.Oldest.IsZero() && lag.Oldest.Before(d.OldestReady) {
		d.OldestReady = lag.Oldest
	}
	return d, nil
}
