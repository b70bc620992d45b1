package redis

import (
	"log/slog"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
)

// memory is what a process knows of the data in a shard from its last sweep. With it, it finds out that Redis has lost
// data: by a flush, a restart without its files, or a failover to a replica that was behind.
type memory struct {
	made             string // names the data, from when it was empty; empty: nothing is known yet
	round            int64  // counts the notes of all processes that they are alive; it only grows
	unfinished, dead int64
}

// compare compares the answer of a sweep with the one before, remembers it, and logs what is lost.
func (m *memory) compare(logger *slog.Logger, answer script.Answer) {
	before := *m
	*m = memory{
		made: answer.Text("made"), round: answer.Number("round"),
		unfinished: answer.Number("unfinished"), dead: answer.Number("dead"),
	}
	switch {
	case before.made == "":
	case before.made != m.made:
		logger.Error("redis has lost all of its data; these requests are gone, and so are results (check who emptied it)",
			"unfinished", before.unfinished, "dead_letters", before.dead)
	case m.round < before.round:
		logger.Error("redis has lost its latest data; requests since then are gone, or run again (check its persistence)",
			"unfinished_before", before.unfinished, "unfinished_now", m.unfinished)
	}
}
