package redis

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// A lease is extended when a third of it is over, so two tries may go wrong.
const triesPerLease = 3

// leases are what a consumer holds.
type leases struct {
	db *DB

	mu      sync.Mutex
	byToken map[string]*lease
}

// lease is a delivery that is held. When its time is over and nobody could extend it, it is lost as far as we know:
// Redis may be handing it to another worker.
type lease struct {
	shard *shard
	id    domain.ID
	token string
	over  *time.Timer
	lose  context.CancelCauseFunc
}

func newLeases(db *DB) *leases {
	return &leases{db: db, byToken: make(map[string]*lease)}
}

// add begins a lease that Redis gave after the time sent. The context ends when it is lost.
func (l *leases) add(s *shard, id domain.ID, token string, sent time.Time) context.Context {
	held, lose := context.WithCancelCause(context.Background())
	one := &lease{shard: s, id: id, token: token, lose: lose}
	l.mu.Lock()
	defer l.mu.Unlock()
	one.over = time.AfterFunc(time.Until(sent.Add(l.db.opts.Lease)), func() { l.lost(id, token) })
	l.byToken[token] = one
	return held
}

// settled ends a lease that has served its purpose.
func (l *leases) settled(id domain.ID, token string) {
	if one := l.take(id, token); one != nil {
		one.over.Stop()
	}
}

// lost ends a lease and tells the holder.
func (l *leases) lost(id domain.ID, token string) {
	if one := l.take(id, token); one != nil {
		one.over.Stop()
		one.lose(ports.ErrLost)
	}
}

func (l *leases) take(id domain.ID, token string) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.byToken[token]
	if one == nil || one.id != id {
		return nil
	}
	delete(l.byToken, token)
	return one
}

// keep extends the leases until ctx ends or the database is closed.
func (l *leases) keep(ctx context.Context) {
	every := l.db.opts.Lease / triesPerLease
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		case <-l.db.ctx.Done():
			return
		}
		l.extendAll(ctx, every)
	}
}

// extendAll tries once to extend all leases, in so much time. Shards that fail alone are called side by side: one that
// hangs costs only its own leases a try.
func (l *leases) extendAll(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	held := l.held()
	var extending sync.WaitGroup
	for _, shards := range l.db.apart() {
		extending.Go(func() {
			for _, s := range shards {
				l.extend(ctx, s, held[s])
			}
		})
	}
	extending.Wait()
}

// held lists the leases by shard.
func (l *leases) held() map[*shard][]*lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	byShard := make(map[*shard][]*lease)
	for _, one := range l.byToken {
		byShard[one.shard] = append(byShard[one.shard], one)
	}
	return byShard
}

// maxExtended bounds one script.
const maxExtended = 256

// extend makes leases longer. Those that belong to others by now are lost.
func (l *leases) extend(ctx context.Context, s *shard, held []*lease) {
	for len(held) > 0 {
		part := held[:min(len(held), maxExtended)]
		held = held[len(part):]
		deliveries := make([]any, 0, 2*len(part))
		for _, one := range part {
			deliveries = append(deliveries, string(one.id), one.token)
		}
		sent := time.Now()
		answer, err := l.db.run(ctx, s, script.Extend.Call("lease", l.db.opts.Lease.Milliseconds()).And(deliveries...))
		if err != nil {
			return // there is another try before they end
		}
		still := answer.List("held")
		for i, one := range part {
			if number(still, i) == 1 {
				one.over.Reset(time.Until(sent.Add(l.db.opts.Lease)))
			} else {
				l.lost(one.id, one.token)
			}
		}
	}
}
