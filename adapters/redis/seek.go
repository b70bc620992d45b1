package redis

import (
	"context"

	"github.com/openhqm/openhqm/ports"
)

// quest is the search for the record of an arrival.
type quest struct {
	arrival int      // which
	shards  []*shard // that are left to look in; the last one makes the record
}

// seek runs a script for each arrival in one shard after the other, until one of them has the record and so does not
// answer "missing". Where none has it, the script runs once more, and makes it. Each has one answer, which is told.
func (db *DB) seek(
	ctx context.Context, arrivals []ports.Arrival,
	script func(s *shard, a *ports.Arrival, makeIt bool) *op,
	tell func(arrival int, s *shard, answer []any, err error),
) {
	left := make([]quest, len(arrivals))
	for i := range arrivals {
		left[i] = quest{arrival: i, shards: db.whereabouts(&arrivals[i])}
	}
	for len(left) > 0 {
		ops := make([]*op, len(left))
		for n, q := range left {
			ops[n] = script(q.shards[0], &arrivals[q.arrival], len(q.shards) == 1)
		}
		gaveUp := db.intake.do(ctx, ops)
		var next []quest
		for n, q := range left {
			answer, err := ops[n].result(gaveUp)
			if err == nil && word(answer) == "missing" && len(q.shards) > 1 {
				next = append(next, quest{q.arrival, q.shards[1:]})
				continue
			}
			tell(q.arrival, q.shards[0], answer, err)
		}
		left = next
	}
}

// whereabouts lists the shards that may have the record of an arrival, and in the end the one to make it in.
func (db *DB) whereabouts(a *ports.Arrival) []*shard {
	home := db.home(&a.Request)
	if a.Request.Idempotency != nil || len(db.shards) == 1 {
		return []*shard{home}
	}
	return append(db.searched(a.Request.ID), home)
}
