package streams

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/ports"
)

var errNoName = errors.New("the name of a stream must not be empty")

// Outlet returns a publisher to a stream that other programs read. Each entry has a message as its field "payload", and
// entries older than Options.Retention are trimmed. The publisher ends with the database.
func (s *Streams) Outlet(_ context.Context, name string) (ports.Publisher, error) {
	switch {
	case name == "":
		return nil, errNoName
	case s.server.Context().Err() != nil:
		return nil, ports.ErrClosed
	}
	return &publisher{s.server, &s.opts, name}, nil
}

// publisher writes to a stream that other programs read.
type publisher struct {
	server *server.Server
	opts   *Options
	stream string
}

// Publish adds all messages in one round trip.
func (p *publisher) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	if !p.server.Enter() {
		return server.Closed(len(messages))
	}
	defer p.server.Leave()
	oldest := strconv.FormatInt(p.server.Now().Add(-p.opts.Retention).UnixMilli(), 10)
	added := make([]*redis.StringCmd, len(messages))
	pipe := p.server.Client.Pipeline()
	for i := range messages {
		added[i] = pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: p.stream, MinID: oldest, Approx: true, Values: []any{payloadField, messages[i].Value},
		})
	}
	server.Exec(ctx, pipe)
	errs := make([]error, len(messages))
	for i := range added {
		errs[i] = server.Translate(added[i].Err())
	}
	return errs
}
