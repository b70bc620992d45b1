package redis

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

// Depths counts exactly, each shard at one moment.
func (db *DB) Depths(ctx context.Context) (ports.Depths, error) {
	if !db.enter() {
		return ports.Depths{}, ports.ErrClosed
	}
	defer db.leave()
	var d ports.Depths
	for _, s := range db.shards {
		answer, err := db.run(ctx, s, script.Depths.Call("handover", db.opts.Handover && !db.handsOverElsewhere()))
		if err != nil {
			return ports.Depths{}, err
		}
		d.Ready += answer.Number("ready")
		d.Delayed += answer.Number("delayed")
		d.Leased += answer.Number("leased")
		d.DeadLetters += answer.Number("deadLetters")
		d.Carried += answer.Number("carried")
		if oldest := answer.Number("oldest"); oldest > 0 {
			since := time.UnixMilli(oldest).UTC()
			if d.OldestReady.IsZero() || since.Before(d.OldestReady) {
				d.OldestReady = since
			}
		}
	}
	return d, nil
}
