package redis

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/adapters/redis/internal/streams"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
)

const (
	sweepEvery = time.Second          // at least, though nothing is known to be due: other processes may know more
	sweepPause = 5 * time.Millisecond // between two sweeps at least, so that what is due together is moved together
	sweepLimit = 256                  // requests of a kind in one sweep of one shard
	tidyEvery  = 10 * time.Minute     // looks for consumers of dead processes
)

// sweeper does what time asks for: delays that have passed, deadlines, lifetimes of dead letters. Every process has
// one, so that it gets done while any of them lives; they do not disturb each other. A process that makes something due
// in the future sweeps at that moment by itself.
type sweeper struct {
	opts   *Options
	server *server.Server
	health *server.Health
	news   *news
	every  time.Duration
	pauses *Pauses
	parts  []*schedule // of the sweeps, each of shards that fail together
	known  []memory    // by shard; each is used by the sweeps of its part alone
}

func newSweeper(opts *Options, srv *server.Server, health *server.Health, n *news, pauses *Pauses) *sweeper {
	s := &sweeper{
		opts: opts, server: srv, health: health, news: n, every: sweepInterval(opts.Lease), pauses: pauses,
		known: make([]memory, len(srv.Shards)),
	}
	for _, shards := range srv.Apart() {
		var pause outage.Backoff
		s.parts = append(s.parts, newSchedule(opts.Now, s.every, func() time.Duration { return s.sweep(shards, &pause) }))
	}
	return s
}

// sweepInterval returns how often to sweep at least. The sweeps also show that Redis was there all the time: see gap in
// prelude.lua.
func sweepInterval(lease time.Duration) time.Duration {
	return min(max(lease/6, 100*time.Millisecond), sweepEvery)
}

// at schedules a sweep at that time.
func (s *sweeper) at(t time.Time) {
	if t.IsZero() {
		return
	}
	for _, part := range s.parts {
		part.at(t)
	}
}

// run sweeps and tidies up until the server is closed.
func (s *sweeper) run() {
	var parts sync.WaitGroup
	defer parts.Wait()
	for _, part := range s.parts {
		parts.Go(func() { part.run(s.server.Context().Done()) })
	}
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		s.tidyUp()
		select {
		case <-ticker.C:
		case <-s.server.Context().Done():
			return
		}
	}
}

// tidyUp removes consumers of processes that ended long ago. What is not done now is done the next time.
func (s *sweeper) tidyUp() {
	ctx := context.WithoutCancel(s.server.Context())
	s.health.Inspect(ctx)
	for _, shard := range s.server.Shards {
		if s.server.Context().Err() != nil {
			return
		}
		if !s.server.Silent(shard) {
			_ = s.tidy(ctx, shard, streams.TidyUnseen)
		}
	}
}

// sweep sweeps shards that fail together, and returns how long nothing more is known to be due. A shard that fails does
// not hold up the other shards.
func (s *sweeper) sweep(shards []*server.Shard, pause *outage.Backoff) time.Duration {
	wait, failures := s.every, 0
	for _, shard := range shards {
		next, err := s.sweepOne(shard)
		if err != nil {
			failures++
			continue
		}
		wait = min(wait, next)
	}
	if failures == len(shards) {
		return pause.Next()
	}
	pause.Reset()
	return wait
}

// tidy removes the consumers of a shard that hold nothing and were not seen for so long.
func (s *sweeper) tidy(ctx context.Context, shard *server.Shard, unseen time.Duration) error {
	endpoints, err := s.server.Client.SMembers(ctx, shard.EndpointsKey()).Result()
	if err != nil {
		return server.Translate(err)
	}
	for _, endpoint := range endpoints {
		for _, lane := range []string{highLane, lowLane} {
			stream := shard.StreamKey(lane + endpoint)
			if _, err := s.server.RunOn(ctx, stream, script.Tidy.Call("unseen", unseen.Milliseconds())); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep does a part of what is due in a shard.
func (s *sweeper) sweepOne(shard *server.Shard) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.server.Context()), server.ReplyTimeout)
	defer cancel()
	sent := s.opts.Now()
	answer, err := s.server.Run(ctx, shard, s.sweeping(""))
	s.server.Note(shard, err)
	if err != nil {
		return 0, err
	}
	s.server.NoteTime(shard, answer.Number("now"), sent, s.opts.Now())
	s.known[shard.Number].compare(s.opts.Logger, answer)
	s.news.endedAll(answer)
	s.pauses.found(answer.List("paused"))
	if answer.Number("ready") > 0 {
		signal(s.news.ready)
	}
	return time.Duration(answer.Number("wait")) * time.Millisecond, nil
}

// expire ends one request that is overdue, unless somebody works on it.
func (s *sweeper) expire(ctx context.Context, shard *server.Shard, id domain.ID) error {
	answer, err := s.server.Run(ctx, shard, s.sweeping(id))
	if err != nil {
		return err
	}
	s.news.endedAll(answer)
	return nil
}

// sweeping is the call of a sweep; only the request with that id, unless it is empty.
func (s *sweeper) sweeping(only domain.ID) script.Call {
	unanswered := domain.PastDeadline(0, false, time.Time{})
	answered := domain.PastDeadline(0, true, time.Time{})
	return script.Sweep.Call(
		"limit", sweepLimit,
		"lifetime", s.opts.TTL.Milliseconds(),
		"letterLifetime", s.opts.DeadLetterTTL.Milliseconds(),
		"reason", string(unanswered.Reason),
		"unanswered", string(unanswered.Status),
		"unansweredProblem", unanswered.Error,
		"answered", string(answered.Status),
		"answeredProblem", answered.Error,
		"only", string(only),
		"lease", s.opts.Lease.Milliseconds(),
	)
}
