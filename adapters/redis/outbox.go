package redis

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
)

// The outbox of a shard is a stream of the final requests that others are to be told of. The script that makes a
// request final writes there in the same step, so that nothing is forgotten when a process dies before it tells. An
// entry names the request and what is owed of it, and how many bytes have to be read for that.

// What is owed. See owe in end.lua.
const (
	owedNothing = ""
	owedResults = "results"
	owedLetters = "letters" // of dead letters alone
	owedAll     = "all"
)

// owed is what this process owes for what it makes final.
func (db *DB) owed() string {
	switch {
	case db.opts.Responses == "":
		return db.owedLetter()
	case db.opts.DeadLetterStream == "":
		return owedResults
	default:
		return owedAll
	}
}

// owedLetter is what is owed for what is a dead letter and nobody's result.
func (db *DB) owedLetter() string {
	if db.opts.DeadLetterStream == "" {
		return owedNothing
	}
	return owedLetters
}

func (s *shard) outboxKey() string { return s.key + ":outbox" }

// debt is an entry of an outbox.
type debt struct {
	place  string // in the outbox
	id     domain.ID
	result bool // is owed
	letter bool
	bytes  int64
}

func readDebt(entry *redis.XMessage) debt {
	field := func(name string) string {
		value, _ := entry.Values[name].(string)
		return value
	}
	owed := field("owed")
	bytes, _ := strconv.ParseInt(field("bytes"), 10, 64) // our own script wrote it
	return debt{
		place: entry.ID, id: domain.ID(field("id")), bytes: bytes,
		result: owed == owedResults || owed == owedAll,
		letter: owed == owedLetters || owed == owedAll,
	}
}

// portion cuts off as many debts as may be paid at once: at least one, and no more bytes than a pipeline may have.
func portion(debts []debt) (now, later []debt) {
	bytes := int64(0)
	for i := range debts {
		bytes += debts[i].bytes
		if i > 0 && bytes > maxGroupBytes {
			return debts[:i], debts[i:]
		}
	}
	return debts, nil
}

// owedValues are what Redis has of a final request.
type owedValues struct {
	record *redis.SliceCmd // wholeFields; nil: not asked for
	letter *redis.SliceCmd // wholeLetterFields; nil: not asked for
}

// fetchOwed reads what debts of a shard are about, in one round trip.
func (db *DB) fetchOwed(ctx context.Context, s *shard, debts []debt) ([]owedValues, error) {
	values := make([]owedValues, len(debts))
	pipe := db.client.Pipeline()
	for i := range debts {
		d := &debts[i]
		if d.result && db.opts.Responses != "" {
			values[i].record = pipe.HMGet(ctx, s.recordKey(d.id), wholeFields...)
		}
		if d.letter && db.opts.DeadLetterStream != "" {
			values[i].letter = pipe.HMGet(ctx, s.letterKey(d.id), wholeLetterFields...)
		}
	}
	if pipe.Len() == 0 {
		return values, nil
	}
	_, err := pipe.Exec(ctx)
	return values, translate(err)
}
