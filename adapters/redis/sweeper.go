package redis

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
)

const (
	sweepEvery = time.Second          // when nothing is known to be due: others may have made it so
	sweepPause = 5 * time.Millisecond // between two sweeps at least, so that what is due together is moved together
	sweepLimit = 256                  // requests of a kind in one sweep of one shard
	tidyEvery  = 10 * time.Minute     // looks for consumers of dead processes
	tidyUnseen = 24 * time.Hour       // how long those have done nothing
)

// sweeper does what time asks for: delays that are over, deadlines that are past, lifetimes of dead letters. Every
// process has one, so that it gets done while any of them lives; they do not disturb each other. A process that makes
// something due in the future sweeps at that moment by itself.
type sweeper struct {
	db    *DB
	parts []*sweep
}

func newSweeper(db *DB) *sweeper {
	s := &sweeper{db: db}
	for _, shards := range db.apart() {
		s.parts = append(s.parts, &sweep{db: db, shards: shards, wake: make(chan struct{}, 1)})
	}
	return s
}

// at sees to it that there is a sweep at that time.
func (s *sweeper) at(t time.Time) {
	if t.IsZero() {
		return
	}
	for _, part := range s.parts {
		part.at(t)
	}
}

// run sweeps and tidies up until the database is closed.
func (s *sweeper) run() {
	var parts sync.WaitGroup
	defer parts.Wait()
	for _, part := range s.parts {
		parts.Go(part.run)
	}
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		s.tidyUp()
		select {
		case <-ticker.C:
		case <-s.db.ctx.Done():
			return
		}
	}
}

// tidyUp removes consumers of processes that are gone for long. What is not done now is done the next time.
func (s *sweeper) tidyUp() {
	ctx := context.WithoutCancel(s.db.ctx)
	s.db.inspect(ctx)
	for _, shard := range s.db.shards {
		if s.db.ctx.Err() != nil {
			return
		}
		if !s.db.absence.isSilent(shard) {
			_ = s.db.tidy(ctx, shard, tidyUnseen)
		}
	}
}

// sweep is the sweeping of shards that fail together.
type sweep struct {
	db     *DB
	shards []*shard

	wake chan struct{} // next has become earlier
	mu   sync.Mutex
	next time.Time // when to sweep

	pause outage.Backoff // the goroutine's own
}

func (s *sweep) at(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.Before(s.next) {
		return
	}
	s.next = t
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// rest puts the next sweep off for as long as may be; at makes it earlier again.
func (s *sweep) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.db.opts.Now().Add(sweepEvery)
}

func (s *sweep) wait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.next.Sub(s.db.opts.Now()), sweepPause)
}

// run sweeps until the database is closed.
func (s *sweep) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			s.rest()
			s.at(s.db.opts.Now().Add(s.sweep()))
		case <-s.wake:
		case <-s.db.ctx.Done():
			return
		}
		timer.Reset(s.wait())
	}
}

// sweep sweeps the shards, and gives how long nothing more is known to be due. One that fails keeps none of the others.
func (s *sweep) sweep() time.Duration {
	wait, failures := sweepEvery, 0
	for _, shard := range s.shards {
		next, err := s.db.sweep(shard)
		if err != nil {
			failures++
			continue
		}
		wait = min(wait, next)
	}
	if failures == len(s.shards) {
		return s.pause.Next()
	}
	s.pause.Reset()
	return wait
}

// tidy removes the consumers of a shard that hold nothing and were not seen for so long.
func (db *DB) tidy(ctx context.Context, s *shard, unseen time.Duration) error {
	endpoints, err := db.client.SMembers(ctx, s.key+":endpoints").Result()
	if err != nil {
		return translate(err)
	}
	for _, endpoint := range endpoints {
		for _, lane := range []string{highLane, lowLane} {
			stream := s.key + ":q:" + lane + endpoint
			if _, err := db.runOn(ctx, stream, script.Tidy.Call("unseen", unseen.Milliseconds())); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep does a part of what is due in a shard.
func (db *DB) sweep(s *shard) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(db.ctx), replyTimeout)
	defer cancel()
	answer, err := db.run(ctx, s, db.sweeping(""))
	db.note(s, err)
	if err != nil {
		return 0, err
	}
	db.tellSwept(answer)
	if answer.Number("ready") > 0 {
		ring(db.ready)
	}
	return time.Duration(answer.Number("wait")) * time.Millisecond, nil
}

// expire ends one request that is past its deadline, unless somebody works on it.
func (db *DB) expire(ctx context.Context, s *shard, id domain.ID) error {
	answer, err := db.run(ctx, s, db.sweeping(id))
	if err != nil {
		return err
	}
	db.tellSwept(answer)
	return nil
}

// sweeping is the call of a sweep; only the request with that id, unless it is empty.
func (db *DB) sweeping(only domain.ID) script.Call {
	unanswered := domain.PastDeadline(0, false, time.Time{})
	answered := domain.PastDeadline(0, true, time.Time{})
	return script.Sweep.Call(
		"limit", sweepLimit,
		"lifetime", db.opts.TTL.Milliseconds(),
		"letterLifetime", db.opts.DeadLetterTTL.Milliseconds(),
		"reason", string(unanswered.Reason),
		"unanswered", string(unanswered.Status),
		"unansweredProblem", unanswered.Error,
		"answered", string(answered.Status),
		"answeredProblem", answered.Error,
		"only", string(only),
	)
}

// tellSwept tells of the requests that a sweep made final.
func (db *DB) tellSwept(answer script.Answer) {
	for _, ended := range answer.Rows("ended") {
		st, found, err := decodeState(domain.ID(ended.Text("id")), ended.List("state"))
		if err == nil && found {
			db.tellEnded(&st)
		}
	}
}
