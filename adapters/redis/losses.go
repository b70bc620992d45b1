package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Losses ends requests whose messages a carrier has lost. It implements ports.Losses.
type Losses struct {
	opts   *Options
	server *server.Server
	news   *news
	name   string // of this process, while it is the one that looks
}

var _ ports.Losses = (*Losses)(nil)

// looking is how long a process that looks for lost requests keeps others from that, from its last look on.
const looking = 30 * time.Second

// Suspects asks all shards. Of their clocks the one that is furthest behind counts.
func (l *Losses) Suspects(ctx context.Context, age time.Duration) (before time.Time, err error) {
	if !l.server.Enter() {
		return time.Time{}, ports.ErrClosed
	}
	defer l.server.Leave()
	some := false
	for _, s := range l.server.Shards {
		answer, err := l.server.Run(ctx, s, script.Suspects.Call("age", age.Milliseconds()))
		if err != nil {
			return time.Time{}, err
		}
		some = some || answer.Flag("some")
		if at := time.UnixMilli(answer.Number("before")); before.IsZero() || at.Before(before) {
			before = at
		}
	}
	if !some {
		return time.Time{}, nil
	}
	if claimed, err := l.claim(ctx); err != nil || !claimed {
		return time.Time{}, err
	}
	return before, nil
}

// claim makes this process the one that looks, or reports false.
func (l *Losses) claim(ctx context.Context) (bool, error) {
	key := l.server.Shards[0].Key + ":losses"
	claimed, err := l.server.Client.SetNX(ctx, key, l.name, looking).Result()
	if claimed || err != nil {
		return claimed, server.Translate(err)
	}
	holder, err := l.server.Client.Get(ctx, key).Result()
	switch {
	case errors.Is(err, redis.Nil): // it has just expired
		return false, nil
	case err != nil:
		return false, server.Translate(err)
	case holder != l.name:
		return false, nil
	}
	claimed, err = l.server.Client.PExpire(ctx, key, looking).Result()
	return claimed, server.Translate(err)
}

// EndLost ends requests in one shard after another, until there are enough.
func (l *Losses) EndLost(ctx context.Context, before time.Time, limit int) (ended int, err error) {
	if !l.server.Enter() {
		return 0, ports.ErrClosed
	}
	defer l.server.Leave()
	lost, kept := domain.Lost(time.Time{}, false), domain.Lost(time.Time{}, true)
	for _, s := range l.server.Shards {
		answer, err := l.server.Run(ctx, s, script.Lost.Call(
			"before", before.UnixMilli(),
			"limit", limit-ended,
			"lease", l.opts.Lease.Milliseconds(),
			"reason", string(lost.Reason),
			"problem", lost.Error,
			"keptProblem", kept.Error,
			"lifetime", l.opts.TTL.Milliseconds(),
			"letterLifetime", l.opts.DeadLetterTTL.Milliseconds(),
		))
		if err != nil {
			return ended, err
		}
		l.news.endedAll(answer)
		if ended += len(answer.Rows("ended")); ended == limit {
			break
		}
	}
	return ended, nil
}
