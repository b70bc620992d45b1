package redis

import (
	"context"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// A lease is extended when a third of it has passed, so two tries may fail. See also graceUntil in prelude.lua.
const triesPerLease = 3

// leases are those that a consumer holds.
type leases struct {
	server *server.Server
	length time.Duration

	mu      sync.Mutex
	byToken map[string]*lease
	over    bool // nobody extends them any more
}

// lease is a delivery that is held. It is lost when Redis says so, because another worker has it by now. While Redis is
// away nobody can have it, so the call goes on, and Redis still leaves the delivery to us for a while once it is back.
type lease struct {
	shard  *server.Shard
	id     domain.ID
	token  string
	ends   time.Time // as far as Redis has confirmed
	cancel context.CancelCauseFunc
}

func newLeases(s *server.Server, length time.Duration) *leases {
	return &leases{server: s, length: length, byToken: make(map[string]*lease)}
}

// add begins a lease that Redis has granted since the time sent. The context ends when it is lost.
func (l *leases) add(s *server.Shard, id domain.ID, token string, sent time.Time) context.Context {
	held, cancel := context.WithCancelCause(context.Background())
	one := &lease{shard: s, id: id, token: token, ends: sent.Add(l.length), cancel: cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byToken[token] = one
	if l.over {
		l.loseAtEnd(one)
	}
	return held
}

// end ends a lease that is not needed any more.
func (l *leases) end(id domain.ID, token string) { l.remove(id, token) }

// lose ends a lease, and its context with ports.ErrLost.
func (l *leases) lose(id domain.ID, token string) {
	if one := l.remove(id, token); one != nil {
		one.cancel(ports.ErrLost)
	}
}

// leave lets the leases run out: nobody extends them any more.
func (l *leases) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, one := range l.byToken {
		l.loseAtEnd(one)
	}
}

// loseAtEnd ends a lease when it runs out. The caller holds mu.
func (l *leases) loseAtEnd(one *lease) {
	time.AfterFunc(time.Until(one.ends), func() { l.lose(one.id, one.token) })
}

func (l *leases) remove(id domain.ID, token string) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.byToken[token]
	if one == nil || one.id != id {
		return nil
	}
	delete(l.byToken, token)
	return one
}

// keep extends the leases until ctx ends or the database is closed. Then they run out.
func (l *leases) keep(ctx context.Context) {
	defer l.leave()
	every := l.length / triesPerLease
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		case <-l.server.Context().Done():
			return
		}
		l.extendAll(ctx, every)
	}
}

// extendAll tries once to extend all leases, within so much time. Shards that fail independently are called side by
// side: one that hangs costs only its own leases a try.
func (l *leases) extendAll(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	held := l.held()
	var extending sync.WaitGroup
	for _, shards := range l.server.Apart() {
		extending.Go(func() {
			for _, s := range shards {
				l.extend(ctx, s, held[s])
			}
		})
	}
	extending.Wait()
}

// held returns the leases by shard.
func (l *leases) held() map[*server.Shard][]*lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	byShard := make(map[*server.Shard][]*lease)
	for _, one := range l.byToken {
		byShard[one.shard] = append(byShard[one.shard], one)
	}
	return byShard
}

// maxExtended bounds one script.
const maxExtended = 256

// extend makes leases longer. Those that other workers hold by now are lost.
func (l *leases) extend(ctx context.Context, s *server.Shard, held []*lease) {
	for len(held) > 0 {
		part := held[:min(len(held), maxExtended)]
		held = held[len(part):]
		deliveries := make([]any, 0, 2*len(part))
		for _, one := range part {
			deliveries = append(deliveries, string(one.id), one.token)
		}
		sent := time.Now()
		answer, err := l.server.Run(ctx, s, script.Extend.Call("lease", l.length.Milliseconds()).And(deliveries...))
		if err != nil {
			return // there is another try
		}
		l.note(part, answer.List("held"), sent.Add(l.length))
	}
}

// note notes which leases Redis has extended, and until when at least. The other ones are lost.
func (l *leases) note(leases []*lease, held []any, ends time.Time) {
	for i, one := range leases {
		if i >= len(held) || held[i] != any(int64(1)) {
			l.lose(one.id, one.token)
			continue
		}
		l.mu.Lock()
		one.ends = ends
		l.mu.Unlock()
	}
}
