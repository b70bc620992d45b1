package server

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// outageState knows whether Redis cannot be used, and which shards.
type outageState struct {
	outage.Log

	refused outage.Refusals

	mu     sync.Mutex
	silent map[*Shard]struct{} // shards that could not be used the last time
}

// report notes how a call of Redis ended. While a shard is silent, an outage is not over.
func (o *outageState) report(err error) {
	if errors.Is(err, ports.ErrClosed) || errors.Is(err, ports.ErrFull) || err == nil && o.anySilent() {
		return
	}
	if partial(err) {
		o.refused.Note(err)
		return
	}
	o.refused.Expire()
	o.Report(err)
}

func (o *outageState) anySilent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.silent) > 0
}

// note notes whether a shard could be used.
func (o *outageState) note(s *Shard, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, ports.ErrFull) || partial(err): // it answers
		delete(o.silent, s)
	case o.silent == nil:
		o.silent = map[*Shard]struct{}{s: {}}
	default:
		o.silent[s] = struct{}{}
	}
}

func (o *outageState) isSilent(s *Shard) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, silent := o.silent[s]
	return silent
}

// Report notes how a call of Redis ended, so that operators learn of an outage. A call that its caller or Close cut off
// says nothing about Redis.
func (s *Server) Report(ctx context.Context, err error) {
	if ctx.Err() == nil && s.ctx.Err() == nil {
		s.outage.report(err)
	}
}

// Note notes how a call of a shard ended that nobody cut off. The sweeper calls every shard at least once a second, so
// one that answers again is known soon.
func (s *Server) Note(shard *Shard, err error) {
	if s.ctx.Err() != nil {
		return
	}
	s.outage.note(shard, err)
	s.outage.report(err)
	if errors.Is(err, ports.ErrUnavailable) {
		s.Relearn()
	}
}

// Silent reports whether a shard could not be used the last time.
func (s *Server) Silent(shard *Shard) bool { return s.outage.isSilent(shard) }

// Apart returns the shards in parts that fail independently: on a Cluster a shard may be on a node of its own,
// otherwise all are on one server.
func (s *Server) Apart() [][]*Shard {
	if _, cluster := s.Client.(*redis.ClusterClient); !cluster {
		return [][]*Shard{s.Shards}
	}
	parts := make([][]*Shard, len(s.Shards))
	for i := range s.Shards {
		parts[i] = s.Shards[i : i+1]
	}
	return parts
}

// Answering is Apart without the silent shards, unless all of them are.
func (s *Server) Answering() [][]*Shard {
	var parts [][]*Shard
	for _, shards := range s.Apart() {
		shards = slices.DeleteFunc(slices.Clone(shards), s.outage.isSilent)
		if len(shards) > 0 {
			parts = append(parts, shards)
		}
	}
	if len(parts) == 0 {
		return s.Apart()
	}
	return parts
}

// Relearn makes the client of a Cluster ask which node has which slot, soon and only once for many calls. By itself it
// asks when a node redirects it, and not when a node is gone. Sentinel's client learns of a new master by itself.
func (s *Server) Relearn() {
	if cluster, ok := s.Client.(*redis.ClusterClient); ok && s.ctx.Err() == nil {
		cluster.ReloadState(s.ctx)
	}
}
