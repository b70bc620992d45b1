package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/domain/waitlist"
	"github.com/openhqm/openhqm/ports"
)

// silenceAllowed is how long nothing may come over a subscription before the server is pinged, and how long its answer
// may take.
const silenceAllowed = 5 * time.Second

// waiters are those in this process who wait for requests to become final. They share one subscription for each shard,
// which is made when the first of them comes.
type waiters struct {
	waitlist.List

	server *server.Server
	once   sync.Once
}

func newWaiters(s *server.Server) *waiters { return &waiters{server: s} }

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
			err = server.Translate(fmt.Errorf("wait for results: %w", err))
			if errors.Is(err, ports.ErrRefused) { // anything else is found out by those who use the records
				w.server.Report(w.server.Context(), err)
			}
			return subscribed
		}
		switch m := message.(type) {
		case *redis.Subscription:
			if m.Kind == "sunsubscribe" {
				return subscribed
			}
			subscribed = true
			w.WakeAll() // something may have been missed
		case *redis.Message:
			w.Wake(domain.ID(m.Payload))
		}
	}
}
