package redis

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/ports"
)

var errNoName = errors.New("the name of a stream must not be empty")

// Outlet returns a publisher to a stream that other programs read. Each entry has a message as its field "payload", and
// entries older than Options.Retention are trimmed. The publisher ends with the database.
func (db *DB) Outlet(_ context.Context, name string) (ports.Publisher, error) {
	switch {
	case name == "":
		return nil, errNoName
	case db.ctx.Err() != nil:
		return nil, ports.ErrClosed
	}
	return &publisher{db, name}, nil
}

// publisher writes to a stream that other programs read.
type publisher struct {
	db     *DB
	stream string
}

// Publish adds all messages in one round trip.
func (p *publisher) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	errs := make([]error, len(messages))
	if !p.db.enter() {
		for i := range errs {
			errs[i] = ports.ErrClosed
		}
		return errs
	}
	defer p.db.leave()
	oldest := strconv.FormatInt(p.db.opts.Now().Add(-p.db.opts.Retention).UnixMilli(), 10)
	added := make([]*redis.StringCmd, len(messages))
	pipe := p.db.client.Pipeline()
	for i := range messages {
		added[i] = pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: p.stream, MinID: oldest, Approx: true, Values: []any{payloadField, messages[i].Value},
		})
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i := range added {
		errs[i] = translate(added[i].Err())
	}
	return errs
}
