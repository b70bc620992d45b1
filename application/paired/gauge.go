package paired

import (
	"context"

	"github.com/openhqm/openhqm/ports"
)

// Gauge adds to what the store knows of what only the queue has: messages of others that no worker has seen yet, and
// whatever a store that lost its data has forgotten. It implements ports.Gauge.
type Gauge struct {
	queue ports.Lagging
	store ports.Gauge
}

var _ ports.Gauge = (*Gauge)(nil)

// NewGauge makes one.
func NewGauge(queue ports.Lagging, store ports.Gauge) *Gauge {
	return &Gauge{queue: queue, store: store}
}

// Depths is approximate. While the queue is away it is what the store knows; queue and store are asked at once, so that
// one that hangs does not take the other's time.
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
