package redis

import (
	"context"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

// quest is the search for a record.
type quest struct {
	index  int      // of what is looked for
	shards []*shard // that are left to look in
}

// seek runs a script for each quest in one shard after the other, until one of them has the record and so does not
// answer "missing"; last tells that there is no other shard. Each quest has one answer, which is told.
func (db *DB) seek(
	ctx context.Context, through *committer, left []quest,
	script func(i int, s *shard, last bool) *op,
	tell func(i int, s *shard, answer script.Answer, err error),
) {
	for len(left) > 0 {
		ops := make([]*op, len(left))
		for n, q := range left {
			ops[n] = script(q.index, q.shards[0], len(q.shards) == 1)
		}
		gaveUp := through.do(ctx, ops)
		var next []quest
		for n, q := range left {
			answer, err := ops[n].result(gaveUp)
			if err == nil && answer.Word() == "missing" && len(q.shards) > 1 {
				next = append(next, quest{q.index, q.shards[1:]})
				continue
			}
			tell(q.index, q.shards[0], answer, err)
		}
		left = next
	}
}

// quests looks for the records of arrivals. Where no shard has one, the script runs once more, and makes it.
func (db *DB) quests(arrivals []ports.Arrival) []quest {
	all := make([]quest, len(arrivals))
	for i := range arrivals {
		all[i] = quest{i, db.whereabouts(&arrivals[i])}
	}
	return all
}

// whereabouts lists the shards that may have the record of an arrival, and in the end the one to make it in.
func (db *DB) whereabouts(a *ports.Arrival) []*shard {
	home := db.home(&a.Request)
	if a.Request.Idempotency != nil || len(db.shards) == 1 {
		return []*shard{home}
	}
	return append(db.searched(a.Request.ID), home)
}
