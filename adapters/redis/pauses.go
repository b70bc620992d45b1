package redis

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/ports"
)

// Pauses keeps in Redis which backends asked to be left alone. It implements ports.Pauses. The sweep, which every
// process makes about once a second, also returns the pauses.
type Pauses struct {
	server *server.Server

	mu        sync.Mutex
	followers map[*func(ports.Pause)]struct{}
}

var _ ports.Pauses = (*Pauses)(nil)

func newPauses(s *server.Server) *Pauses {
	return &Pauses{server: s, followers: make(map[*func(ports.Pause)]struct{})}
}

// pauseParts separates endpoint and URL; neither contains it.
const pauseParts = " "

// Pause implements ports.Pauses. All pauses are in the first shard.
func (p *Pauses) Pause(ctx context.Context, pause ports.Pause) error {
	if !p.server.Enter() {
		return ports.ErrClosed
	}
	defer p.server.Leave()
	_, err := p.server.Run(ctx, p.server.Shards[0], script.Pause.Call(
		"backend", pause.Endpoint+pauseParts+pause.URL,
		"length", max(pause.Left, time.Millisecond).Milliseconds(),
	))
	return err
}

// Follow implements ports.Pauses.
func (p *Pauses) Follow(ctx context.Context, note func(ports.Pause)) error {
	p.mu.Lock()
	p.followers[&note] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.followers, &note)
	}()
	select {
	case <-ctx.Done():
		return nil
	case <-p.server.Context().Done():
		return ports.ErrClosed
	}
}

// found passes on what a sweep found: backends and milliseconds in turn.
func (p *Pauses) found(paused []any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 0; i+1 < len(paused); i += 2 {
		backend, _ := paused[i].(string)
		left, _ := paused[i+1].(int64)
		endpoint, url, _ := strings.Cut(backend, pauseParts)
		for note := range p.followers {
			(*note)(ports.Pause{Endpoint: endpoint, URL: url, Left: time.Duration(left) * time.Millisecond})
		}
	}
}
