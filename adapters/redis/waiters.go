package redis

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
)

// waiters are those in this process who wait for requests to become final. They share one subscription for each shard,
// which is made when the first of them comes.
type waiters struct {
	db   *DB
	once sync.Once
	// listening is closed when every shard is subscribed to.
	listening chan struct{}

	mu   sync.Mutex
	byID map[domain.ID]map[chan struct{}]struct{}
}

func newWaiters(db *DB) *waiters {
	return &waiters{
		db: db, listening: make(chan struct{}),
		byID: make(map[domain.ID]map[chan struct{}]struct{}),
	}
}

// add registers a waiter; the channel tells when to look again. leave must be called in the end.
func (w *waiters) add(id domain.ID) (look <-chan struct{}, leave func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID[id] == nil {
		w.byID[id] = make(map[chan struct{}]struct{})
	}
	w.byID[id][ch] = struct{}{}
	return ch, func() { w.remove(id, ch) }
}

func (w *waiters) remove(id domain.ID, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID[id], ch)
	if len(w.byID[id]) == 0 {
		delete(w.byID, id)
	}
}

func (w *waiters) wake(id domain.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakeAll(w.byID[id])
}

// wakeEverybody is for when something may have been missed.
func (w *waiters) wakeEverybody() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, chans := range w.byID {
		w.wakeAll(chans)
	}
}

func (w *waiters) wakeAll(chans map[chan struct{}]struct{}) {
	for ch := range chans {
		select {
		case ch <- struct{}{}:
		default: // it has not looked yet since the last time
		}
	}
}

// listen blocks until what becomes final is heard of, from the first call on, or ctx ends or the database is closed.
func (w *waiters) listen(ctx context.Context) {
	w.once.Do(w.subscribe)
	select {
	case <-w.listening:
	case <-ctx.Done():
	case <-w.db.ctx.Done():
	}
}

// subscribe starts a goroutine for each shard; they end with the database.
func (w *waiters) subscribe() {
	var subscribed sync.WaitGroup
	subscribed.Add(len(w.db.shards))
	for _, s := range w.db.shards {
		first := sync.OnceFunc(subscribed.Done)
		w.db.loops.Go(func() { w.hear(s, first) })
	}
	w.db.loops.Go(func() {
		subscribed.Wait()
		close(w.listening)
	})
}

// hear listens to one shard. go-redis connects and subscribes again by itself, and tells so: then everybody looks, for
// nobody knows what was missed.
func (w *waiters) hear(s *shard, subscribed func()) {
	defer subscribed()
	subscription := w.db.client.SSubscribe(w.db.ctx, s.key+":final")
	stop := context.AfterFunc(w.db.ctx, func() { _ = subscription.Close() }) // it has no error of interest
	defer stop()
	for message := range subscription.ChannelWithSubscriptions() {
		switch m := message.(type) {
		case *redis.Subscription:
			subscribed()
			w.wakeEverybody()
		case *redis.Message:
			w.wake(domain.ID(m.Payload))
		}
	}
}
