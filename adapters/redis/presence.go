package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/ports"
)

const (
	presenceEvery = 5 * time.Second   // between two signs of life
	presentFor    = 3 * presenceEvery // after one: a process that was killed counts for so long
	forgottenFor  = time.Hour         // after one: then its name is removed
	atOnce        = 100               // names to read
)

// presence lets other processes know that this one uses the queue. Times are those of Redis.
type presence struct {
	server *server.Server
	name   string      // begins with the queue.type
	known  atomic.Bool // between the first sign of life and leave

	moved   chan struct{} // closed when a sign of life found that the queue was moved
	refusal error         // why it must not be used any more; valid after moved
}

func newPresence(s *server.Server) *presence { return &presence{server: s, moved: make(chan struct{})} }

func (p *presence) key() string { return p.server.Shards[0].Key + ":processes" }

// begin gives the first sign of life of a process of that queue.type.
func (p *presence) begin(ctx context.Context, queueType string) error {
	p.name = queueType + nameSeparator + server.ConsumerName()
	_, err := p.announce(ctx)
	return err
}

// announce gives a sign of life, and returns what the queue has to do with a move.
func (p *presence) announce(ctx context.Context) (ports.MoveMark, error) {
	answer, err := p.server.Eval(ctx, p.server.Shards[0].Key,
		script.Announce.Call("name", p.name, "forgotten", forgottenFor.Milliseconds()))
	if err != nil {
		return ports.MoveMark{}, server.Translate(err)
	}
	if text := answer.Text("move"); text != "" {
		return ports.ParseMoveMark(text), nil
	}
	return ports.MoveMark{}, nil
}

// stay begins to give signs of life, after the first.
func (p *presence) stay() {
	p.known.Store(true)
	p.server.Go(p.run)
}

// leave lets nobody wait for the end of presentFor. While Redis is away it takes goodbyeWithin.
func (p *presence) leave() {
	if !p.known.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeWithin)
	defer cancel()
	_ = p.withdraw(ctx)
}

// goodbyeWithin bounds how long the last sign of a process may take.
const goodbyeWithin = time.Second

// run gives signs of life until the server is closed, or until the queue was moved: a move waits for processes that
// give signs of life, so this one had stood still for a while. What fails is tried the next time: an outage is reported
// by all others that use Redis.
func (p *presence) run() {
	for {
		p.server.Sleep(context.Background(), presenceEvery)
		if !p.known.Load() || !p.server.Enter() {
			return
		}
		mark, _ := p.announce(context.WithoutCancel(p.server.Context()))
		p.server.Leave()
		if p.refusal = mark.Refusal(); p.refusal != nil {
			close(p.moved)
			return
		}
	}
}

// AwaitMove blocks until ctx ends, and returns nil, or until somebody has moved the queue although this process uses
// it, and returns an error: what it accepts from then on would stay behind. It is for processes that have called Claim.
func (db *DB) AwaitMove(ctx context.Context) error {
	select {
	case <-db.presence.moved:
		return db.presence.refusal
	case <-ctx.Done():
		return nil
	}
}

func (p *presence) withdraw(ctx context.Context) error {
	return server.Translate(p.server.Client.ZRem(ctx, p.key(), p.name).Err())
}

// others returns the processes that have given a sign of life lately.
func (p *presence) others(ctx context.Context) ([]string, error) {
	now, err := p.server.Client.Time(ctx).Result()
	if err != nil {
		return nil, server.Translate(err)
	}
	names, err := p.server.Client.ZRangeByScore(ctx, p.key(), &redis.ZRangeBy{
		Min: millisOf(now.Add(-presentFor)), Max: "+inf", Count: atOnce,
	}).Result()
	return names, server.Translate(err)
}

// nameSeparator ends the queue.type in the name of a process.
const nameSeparator = "/"

// alone returns an error while processes of another queue.type use the queue.
func (p *presence) alone(ctx context.Context, queueType string) error {
	names, err := p.others(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if other, process, _ := strings.Cut(name, nameSeparator); other != queueType {
			return fmt.Errorf("%w: process %s with queue.type %s uses this queue, and this one has queue.type %s; stop it, "+
				"or change queue.requests (one that was killed counts for %s)",
				ports.ErrUnavailable, process, other, queueType, presentFor)
		}
	}
	return nil
}

func millisOf(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// Users implements ports.MoveParty.
func (m *Moves) Users(ctx context.Context) (string, error) {
	if !m.server.Enter() {
		return "", ports.ErrClosed
	}
	defer m.server.Leave()
	names, err := m.presence.others(ctx)
	if err != nil {
		return "", err
	}
	if len(names) > 0 {
		return fmt.Sprintf("%d processes run (%s)", len(names), strings.Join(names[:min(len(names), namesShown)], ", ")), nil
	}
	return m.heldLeases(ctx)
}

// namesShown is how many processes a message names.
const namesShown = 3

// heldLeases finds workers by what they hold: those of older versions give no signs of life.
func (m *Moves) heldLeases(ctx context.Context) (string, error) {
	for _, s := range m.server.Shards {
		now, err := m.server.Client.Time(ctx).Result()
		if err != nil {
			return "", server.Translate(err)
		}
		for _, key := range []string{s.LeasesKey(), s.LentKey()} {
			held, err := m.server.Client.ZRangeByScoreWithScores(ctx, key, &redis.ZRangeBy{
				Min: "(" + millisOf(now), Max: "+inf", Count: atOnce,
			}).Result()
			if err != nil {
				return "", server.Translate(err)
			}
			if n := len(held); n > 0 {
				last := time.UnixMilli(int64(held[n-1].Score)).Sub(now).Round(time.Second)
				return fmt.Sprintf("workers hold %d requests or more, for another %s unless they live", n, last), nil
			}
		}
	}
	return "", nil
}
