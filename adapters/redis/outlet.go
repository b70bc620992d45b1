package redis

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Outlets are where Relay publishes on other brokers. One that is nil is a stream of Redis, if there is one.
type Outlets struct {
	Requests    ports.Publisher // with Handover: in place of the plain stream
	Results     ports.Publisher // in place of the stream Responses
	DeadLetters ports.Publisher // in place of the stream DeadLetterStream
}

// kind is one that others are told.
type kind struct {
	name   string          // in keys, and in the scripts
	outlet ports.Publisher // nil: this process does not tell
	news   <-chan struct{} // there may be something to tell
	noted  bool            // it is owed for as long as processes note that they tell it, else always
	fields []string        // of the hash that a message is made of
	hash   func(s *shard, id domain.ID) string
	forms  []form // to be tried one after the other: each makes smaller messages than the one before
	// giveUp is for a request of which no form is small enough. With an error it is told again.
	giveUp func(ctx context.Context, id domain.ID, cause error) error
}

// form makes a message of a request; nil: there is none.
type form func(id domain.ID, values []any) ([]byte, error)

// kinds are those that this process tells.
func (db *DB) kinds() []kind {
	opts := &db.opts
	all := []kind{
		{
			name: "results", outlet: db.outlet(opts.Outlets.Results, opts.Responses), news: db.ended, noted: true,
			fields: wholeFields, hash: (*shard).recordKey, forms: []form{db.resultOf, db.briefResultOf}, giveUp: db.drop,
		},
		{
			name: "letters", outlet: db.outlet(opts.Outlets.DeadLetters, opts.DeadLetterStream), news: db.buried, noted: true,
			fields: wholeLetterFields, hash: (*shard).letterKey, forms: []form{db.letterOf, db.briefLetterOf}, giveUp: db.drop,
		},
	}
	if db.handsOverElsewhere() {
		all = append(all, kind{
			name: "requests", outlet: opts.Outlets.Requests, news: db.ready,
			fields: originalFields, hash: (*shard).recordKey, forms: []form{requestOf}, giveUp: db.refuse,
		})
	}
	return slices.DeleteFunc(all, func(k kind) bool { return k.outlet == nil })
}

// handsOverElsewhere reports whether ready requests go to another broker.
func (db *DB) handsOverElsewhere() bool { return db.opts.Handover && db.opts.Outlets.Requests != nil }

// outlet gives what is set, or else the stream of that name, if there is one.
func (db *DB) outlet(set ports.Publisher, name string) ports.Publisher {
	if set == nil && name != "" {
		return &stream{db, name}
	}
	return set
}

// ring tells a relay that there may be something to tell.
func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default: // it has not looked since the last time
	}
}

// stream is one that others read.
type stream struct {
	db   *DB
	name string
}

// Publish adds each message as the field "payload", all in one round trip. What is older than Options.Retention is
// trimmed.
func (s *stream) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	oldest := strconv.FormatInt(s.db.opts.Now().Add(-s.db.opts.Retention).UnixMilli(), 10)
	added := make([]*redis.StringCmd, len(messages))
	pipe := s.db.client.Pipeline()
	for i := range messages {
		added[i] = pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: s.name, MinID: oldest, Approx: true, Values: []any{payloadField, messages[i].Value},
		})
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	errs := make([]error, len(messages))
	for i := range added {
		errs[i] = translate(added[i].Err())
	}
	return errs
}
