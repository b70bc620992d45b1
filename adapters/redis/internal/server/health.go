package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

// Health checks Redis for operators. It implements ports.Probe and ports.Detailed.
type Health struct {
	server  *Server
	details atomic.Pointer[map[string]string]
	full    atomic.Bool // the last probe found no memory to write to
}

var (
	_ ports.Probe    = (*Health)(nil)
	_ ports.Detailed = (*Health)(nil)
)

// NewHealth returns a Health that has not looked yet.
func NewHealth(s *Server) *Health { return &Health{server: s} }

// Probe writes to every shard, and looks what is under its keys. Full memory is not an error but a detail: what was
// accepted can be read and finished. When Redis has refused something lately, Probe finds out which command it is.
// While requests get on all the same, that is ports.Degraded, and so is a clock that differs from ours.
func (h *Health) Probe(ctx context.Context) error {
	if !h.server.Enter() {
		return ports.ErrClosed
	}
	defer h.server.Leave()
	full := false
	for _, s := range h.server.Shards {
		switch err := h.look(ctx, s); {
		case errors.Is(err, ports.ErrFull):
			full = true
		case err != nil:
			return err
		}
	}
	h.full.Store(full)
	refused := h.server.outage.refused.Standing()
	if len(refused) == 0 {
		return h.server.skewed()
	}
	err := h.rehearse(ctx)
	if err != nil && slices.ContainsFunc(refused, stops) {
		return err
	}
	return ports.Degraded(cmp.Or(err, refused[0]).Error())
}

// rehearse tries every command of the scripts. An error names the one that is refused.
func (h *Health) rehearse(ctx context.Context) error {
	for _, s := range h.server.Shards {
		// What each script begins with could not be named by one.
		err := cmp.Or(h.server.Client.Time(ctx).Err(), h.server.Client.Exists(ctx, s.Key+":rehearsal").Err())
		if err == nil {
			_, err = h.server.Eval(ctx, s.Key, script.Rehearse.Call())
		}
		if err != nil {
			err = Translate(err)
			h.server.Report(ctx, err)
			return err
		}
	}
	return nil
}

// look writes to a shard, and reads each of its keys that does not belong to one request, in two round trips. An error
// names the key.
func (h *Health) look(ctx context.Context, s *Shard) error {
	pipe := h.server.Client.Pipeline()
	written := pipe.Set(ctx, s.Key+":probe", "1", time.Minute)
	endpoints := pipe.SMembers(ctx, s.EndpointsKey())
	for _, name := range sortedSets {
		pipe.ZCard(ctx, s.Key+name)
	}
	pipe.HMGet(ctx, s.Key+":alive", "at")
	for _, stream := range h.server.streams(s) {
		pipe.XLen(ctx, stream)
	}
	for _, command := range Exec(ctx, pipe)[1:] {
		if err := h.judge(ctx, command); err != nil {
			return err
		}
	}
	pipe = h.server.Client.Pipeline()
	for _, endpoint := range endpoints.Val() {
		for _, lane := range []string{codec.HighLane, codec.LowLane} {
			pipe.XLen(ctx, s.StreamKey(lane+endpoint))
		}
	}
	for _, length := range Exec(ctx, pipe) {
		switch err := h.judge(ctx, length); {
		case partial(err): // health names no endpoint
			return Translate(named("a key that begins with "+s.StreamKey(""), length.Err()))
		case err != nil:
			return err
		}
	}
	return Translate(written.Err())
}

// judge returns the error of a command that reads a key. It is logged where it is about the key.
func (h *Health) judge(ctx context.Context, command redis.Cmder) error {
	err := Translate(command.Err())
	if !partial(err) {
		return err
	}
	err = Translate(named(fmt.Sprint("key ", command.Args()[1]), command.Err()))
	h.server.Report(ctx, err)
	return err
}

// sortedSets are the ends of keys; see prelude.lua.
var sortedSets = []string{
	":used", ":due", ":returned", ":leases", ":carried", ":lent", ":deadlines", ":dead", ":pauses",
	":processes",
}

// streams returns the streams that the scripts of a shard write, but for those of endpoints.
func (s *Server) streams(shard *Shard) []string {
	streams := []string{shard.Key + ":outbox:results", shard.Key + ":outbox:letters", shard.Key + ":outbox:requests"}
	if s.opts.Handover && !s.opts.HandoverOutbox && shard.Number == 0 {
		streams = append(streams, s.opts.Queue)
	}
	return streams
}

// Details returns which settings may lose requests after a 202: no persistence, or a policy that evicts keys when
// memory runs out. Where Redis refuses to show its settings there are none. On a Cluster one node is asked. It also
// returns whether memory was full at the last Probe.
func (h *Health) Details() map[string]string {
	details := make(map[string]string)
	if configured := h.details.Load(); configured != nil {
		maps.Copy(details, *configured)
	}
	if h.full.Load() {
		details["memory"] = "redis has reached maxmemory: new requests are refused"
	}
	return details
}

// Inspect reads how Redis is configured, and logs a warning for each setting that is new and may lose requests.
func (h *Health) Inspect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ReplyTimeout)
	defer cancel()
	details := make(map[string]string)
	if text := h.persistence(ctx); text != "" {
		details["persistence"] = text
	}
	if text := h.eviction(ctx); text != "" {
		details["eviction"] = text
	}
	if known := h.details.Load(); known == nil || !maps.Equal(details, *known) {
		for part, text := range details {
			h.server.opts.Logger.Warn("redis may lose accepted requests; change this setting", "part", part, "reason", text)
		}
	}
	h.details.Store(&details)
}

func (h *Health) persistence(ctx context.Context) string {
	appendOnly, known := h.setting(ctx, "appendonly")
	snapshots, alsoKnown := h.setting(ctx, "save")
	switch {
	case !known || !alsoKnown || appendOnly == "yes":
		return ""
	case snapshots == "":
		return "appendonly is off and there are no snapshots: a restart loses everything"
	default:
		return "appendonly is off: a crash loses what came after the last snapshot"
	}
}

func (h *Health) eviction(ctx context.Context) string {
	policy, known := h.setting(ctx, "maxmemory-policy")
	if !known || policy == "noeviction" {
		return ""
	}
	limit, known := h.setting(ctx, "maxmemory")
	if !known || strings.TrimSpace(limit) == "0" {
		return "" // without a limit nothing is evicted
	}
	return "maxmemory-policy is " + policy + ": requests may be evicted, and only noeviction keeps them"
}

// setting reads one setting; it reports false where that is forbidden.
func (h *Health) setting(ctx context.Context, name string) (string, bool) {
	values, err := h.server.Client.ConfigGet(ctx, name).Result()
	value, found := values[name]
	return value, err == nil && found
}

// oldestVersion is the first major version of Redis that has all that we use.
const oldestVersion = 7

// requireVersion refuses a server that is too old. One that hides its version is used as it is.
func (s *Server) requireVersion(ctx context.Context) error {
	info, err := s.Client.Info(ctx, "server").Result()
	if err != nil {
		return nil //nolint:nilerr // INFO may be forbidden
	}
	version := infoField(info, "redis_version")
	major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	if err == nil && major < oldestVersion {
		return fmt.Errorf("version %s is too old: use at least %d.0", version, oldestVersion)
	}
	return nil
}

// infoField finds a line of INFO.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
