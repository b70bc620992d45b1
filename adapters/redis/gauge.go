package redis

import (
	"context"
	"time"

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
		answer, err := db.run(ctx, s, db.scripts.depths, db.opts.Handover && !db.handsOverElsewhere())
		if err != nil {
			return ports.Depths{}, err
		}
		d.Ready += number(answer, 0)
		d.Delayed += number(answer, 1)
		d.Leased += number(answer, 2)
		d.DeadLetters += number(answer, 3)
		d.Carried += number(answer, 5)
		if oldest := number(answer, 4); oldest > 0 {
			since := time.UnixMilli(oldest).UTC()
			if d.OldestReady.IsZero() || since.Before(d.OldestReady) {
				d.OldestReady = since
			}
		}
	}
	return d, nil
}
