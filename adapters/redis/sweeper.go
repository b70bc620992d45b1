package redis

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
)

const (
	sweepEvery   = time.Second          // when nothing is known to be due: others may have made it so
	sweepPause   = 5 * time.Millisecond // between two sweeps at least, so that what is due together is moved together
	sweepLimit   = 256                  // requests of a kind in one sweep of one shard
	tidyEvery    = 10 * time.Minute     // looks for consumers of dead processes
	tidyUnseen   = 24 * time.Hour       // how long those have done nothing
	sweepTimeout = 10 * time.Second
)

// sweeper does what time asks for: delays that are over, deadlines that are past, lifetimes of dead letters. Every
// process has one, so that it gets done while any of them lives; they do not disturb each other. A process that makes
// something due in the future sweeps at that moment by itself.
type sweeper struct {
	db *DB

	wake chan struct{} // next has become earlier
	mu   sync.Mutex
	next time.Time // when to sweep

	pause backoff   // the goroutine's own, like the next
	tidy  time.Time // when to tidy
}

func newSweeper(db *DB) *sweeper {
	return &sweeper{db: db, wake: make(chan struct{}, 1)}
}

// at sees to it that there is a sweep at that time.
func (s *sweeper) at(t time.Time) {
	if t.IsZero() {
		return
	}
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
func (s *sweeper) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.db.opts.Now().Add(sweepEvery)
}

func (s *sweeper) wait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.next.Sub(s.db.opts.Now()), sweepPause)
}

// run sweeps until the database is closed.
func (s *sweeper) run() {
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

// sweep sweeps all shards, and gives how long nothing more is known to be due.
func (s *sweeper) sweep() time.Duration {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.db.ctx), sweepTimeout)
	defer cancel()
	wait := sweepEvery
	for _, shard := range s.db.shards {
		next, err := s.db.sweep(ctx, shard)
		if err != nil {
			return s.pause.next()
		}
		wait = min(wait, next)
	}
	s.pause.reset()
	s.tidyUp(ctx)
	return wait
}

// tidyUp removes consumers of processes that are gone for long.
func (s *sweeper) tidyUp(ctx context.Context) {
	now := s.db.opts.Now()
	if now.Before(s.tidy) {
		return
	}
	s.tidy = now.Add(tidyEvery)
	s.db.inspect(ctx)
	for _, shard := range s.db.shards {
		if err := s.db.tidy(ctx, shard, tidyUnseen); err != nil {
			return // what is not done now is done the next time
		}
	}
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
			if _, err := db.runOn(ctx, stream, db.scripts.tidy, unseen.Milliseconds()); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep does a part of what is due in a shard.
func (db *DB) sweep(ctx context.Context, s *shard) (time.Duration, error) {
	answer, err := db.run(ctx, s, db.scripts.sweep, db.sweeping()...)
	if err != nil {
		return 0, err
	}
	db.tellSwept(answer)
	return time.Duration(number(answer, 0)) * time.Millisecond, nil
}

// expire ends one request that is past its deadline, unless somebody works on it.
func (db *DB) expire(ctx context.Context, s *shard, id domain.ID) error {
	answer, err := db.run(ctx, s, db.scripts.sweep, append(db.sweeping(), string(id))...)
	if err != nil {
		return err
	}
	db.tellSwept(answer)
	return nil
}

// sweeping lists the arguments of every sweep.
func (db *DB) sweeping() []any {
	unanswered := domain.PastDeadline(0, false, time.Time{})
	answered := domain.PastDeadline(0, true, time.Time{})
	return []any{
		sweepLimit, db.opts.TTL.Milliseconds(), db.opts.DeadLetterTTL.Milliseconds(), string(unanswered.Reason),
		string(unanswered.Status), unanswered.Error, string(answered.Status), answered.Error, db.owed(),
	}
}

// tellSwept tells of the requests that a sweep made final.
func (db *DB) tellSwept(answer []any) {
	for _, item := range list(answer, 1) {
		ended, _ := item.([]any)
		st, found, err := decodeState(domain.ID(text(ended, 0)), list(ended, 1))
		if err == nil && found {
			db.tellEnded(&st)
		}
	}
}
