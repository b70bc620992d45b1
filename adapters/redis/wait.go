package redis

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
)

// silenceAllowed is how long nothing may come over a subscription before the server is pinged, and how long its answer
// may take.
const silenceAllowed = 5 * time.Second

// waiters are those in this process who wait for requests to become final. They share one subscription for each shard,
// which is made when the first of them comes.
type waiters struct {
	server *server.Server
	once   sync.Once

	mu   sync.Mutex
	byID map[domain.ID]map[chan struct{}]struct{}
}

func newWaiters(s *server.Server) *waiters {
	return &waiters{server: s, byID: make(map[domain.ID]map[chan struct{}]struct{})}
}

// add registers a waiter. The channel receives when it is to look again. Leave must be called in the end.
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

// listen subscribes to what becomes final. It does not wait for that: once subscribed everybody looks again.
func (w *waiters) listen() { w.once.Do(w.subscribe) }

// subscribe starts a goroutine for each shard; they end with the server.
func (w *waiters) subscribe() {
	for _, s := range w.server.Shards {
		w.server.Go(func() { w.hear(s) })
	}
}

// hear listens to one shard until the server is closed, wherever the shard moves.
func (w *waiters) hear(s *server.Shard) {
	var pause outage.Backoff
	for w.server.Context().Err() == nil {
		if w.follow(s) {
			pause.Reset()
		}
		w.server.Relearn()
		w.server.Sleep(w.server.Context(), pause.Next())
	}
}

// follow listens to one shard where it is now, until the connection is lost, or the shard has moved: Redis then ends
// the subscription, or refuses it, and go-redis would leave it at that. It reports whether there was one.
func (w *waiters) follow(s *server.Shard) (subscribed bool) {
	subscription := w.server.Client.SSubscribe(w.server.Context(), s.FinalChannel())
	defer func() { _ = subscription.Close() }() // nothing follows from its error
	stop := context.AfterFunc(w.server.Context(), func() { _ = subscription.Close() })
	defer stop()
	pinged := false
	for {
		message, err := subscription.ReceiveTimeout(w.server.Context(), silenceAllowed)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && !pinged {
			pinged = true
			err = subscription.Ping(w.server.Context())
		} else {
			pinged = false
		}
		if err != nil {
			return subscribed
		}
		switch m := message.(type) {
		case *redis.Subscription:
			if m.Kind == "sunsubscribe" {
				return subscribed
			}
			subscribed = true
			w.wakeEverybody() // something may have been missed
		case *redis.Message:
			w.wake(domain.ID(m.Payload))
		}
	}
}
