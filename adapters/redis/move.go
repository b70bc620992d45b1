package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// Moves moves what is in Redis to another store, and what is there to Redis. It implements ports.Movable. Beside the
// permissions of all processes it needs SCAN and PTTL.
type Moves struct {
	opts     *Options
	server   *server.Server
	intake   *server.Committer
	presence *presence
}

var _ ports.Movable = (*Moves)(nil)

func (m *Moves) markKey() string { return m.server.Shards[0].Key + ":move" }

// Mark implements ports.MoveParty.
func (m *Moves) Mark(ctx context.Context) (ports.MoveMark, error) {
	text, err := m.server.Client.Get(ctx, m.markKey()).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return ports.MoveMark{}, nil
	case err != nil:
		return ports.MoveMark{}, server.Translate(err)
	default:
		return ports.ParseMoveMark(text), nil
	}
}

// SetMark implements ports.MoveParty.
func (m *Moves) SetMark(ctx context.Context, mark ports.MoveMark) error {
	if mark == (ports.MoveMark{}) {
		return server.Translate(m.server.Client.Del(ctx, m.markKey()).Err())
	}
	return server.Translate(m.server.Client.Set(ctx, m.markKey(), mark.String(), 0).Err())
}

// Remove removes requests, each with one script.
func (m *Moves) Remove(ctx context.Context, all []ports.Stored) error {
	if !m.server.Enter() {
		return ports.ErrClosed
	}
	defer m.server.Leave()
	places := make([][]*server.Shard, len(all))
	for i := range all {
		places[i] = m.places(&all[i])
	}
	for _, found := range m.intake.Search(ctx, places, func(i int, s *server.Shard, _ bool) *server.Op {
		return server.NewOp(s, 0, script.Remove.Call("id", string(all[i].ID), "key", keyName(&all[i])))
	}) {
		if found.Err != nil {
			return found.Err
		}
	}
	return nil
}

// places returns the shards to search, as server.Places does.
func (m *Moves) places(one *ports.Stored) []*server.Shard {
	r := domain.Request{ID: one.ID}
	if one.Key != nil {
		r.Owner, r.Idempotency = one.Key.Owner, &one.Key.Idempotency
	}
	return m.server.Places(&r)
}

func keyName(one *ports.Stored) string {
	if one.Key == nil {
		return ""
	}
	return server.IdempotencyKey(&domain.Request{Owner: one.Key.Owner, Idempotency: &one.Key.Idempotency})
}

// Import saves what another store had, each with one script.
func (m *Moves) Import(ctx context.Context, all []ports.Stored) []error {
	if !m.server.Enter() {
		return server.Closed(len(all))
	}
	defer m.server.Leave()
	places := make([][]*server.Shard, len(all))
	for i := range all {
		places[i] = m.places(&all[i])
	}
	now := m.opts.Now()
	errs := make([]error, len(all))
	for i, found := range m.intake.Search(ctx, places, func(i int, s *server.Shard, last bool) *server.Op {
		return m.importing(s, &all[i], now, last)
	}) {
		switch errs[i] = found.Err; {
		case found.Err != nil:
		case found.Answer.Word() == "conflict":
			errs[i] = ports.ErrConflict
		case found.Answer.Word() != "new" && found.Answer.Word() != "same":
			errs[i] = unexpected(found.Answer)
		}
	}
	return errs
}

// importing is the script that saves one; create: unless it is there in this shard.
func (m *Moves) importing(s *server.Shard, one *ports.Stored, now time.Time, create bool) *server.Op {
	in := &incoming{one: one, now: now, queue: codec.HandedQueue}
	in.readRecord()
	in.readLetter()
	in.readKey()
	message := []byte{}
	if one.Request != nil {
		in.queue, message = m.queueOf(one)
	}
	return server.NewOp(s, in.bytes, script.Import.Call(
		"id", string(one.ID),
		"create", create,
		"facts", in.facts,
		"waits", one.Request != nil,
		"queue", in.queue,
		"size", in.size,
		"message", message,
		"dueIn", until(in.next, now),
		"dueMicros", codec.Micros(s.Theirs(in.next)),
		"overdueIn", until(in.overdueAt, now),
		"lifetime", in.left(one.Expires),
		"letterLifetime", in.letterLifetime,
		"keyLifetime", in.keyLifetime,
		"failed", in.failed,
		"key", keyName(one),
		"fields", len(in.record),
		"letterFields", len(in.letter),
	).And(slices.Concat(in.record, in.letter, in.key)...))
}

// queueOf returns where a request waits, and what other programs read of it.
func (m *Moves) queueOf(one *ports.Stored) (queue string, message []byte) {
	switch {
	case m.opts.handsOverElsewhere():
		return codec.HandedQueue, []byte{}
	case m.opts.Handover:
		return codec.PlainQueue, envelope.Append(nil, &envelope.Message{
			Request: *one.Request, RetryCount: one.Record.Attempts,
		})
	default:
		return codec.QueueOf(one.Request), []byte{}
	}
}

// incoming is what import.lua is called with: fields and values in turn.
type incoming struct {
	one   *ports.Stored
	now   time.Time
	queue string

	facts               []byte
	record, letter, key []any

	next, overdueAt             time.Time
	size, failed                int64
	letterLifetime, keyLifetime int64
	bytes                       int // of what is large
}

// left returns how many milliseconds are left, one at least.
func (in *incoming) left(until time.Time) int64 { return max(until.Sub(in.now).Milliseconds(), 1) }

func (in *incoming) readRecord() {
	in.facts = []byte{}
	rec := in.one.Record
	if rec == nil {
		return
	}
	in.facts = codec.EncodeFacts(&domain.Request{
		Endpoint: rec.Endpoint, Owner: rec.Owner, Priority: rec.Priority, ResentFrom: rec.ResentFrom,
		SubmittedAt: rec.SubmittedAt, Deadline: rec.Deadline,
	})
	in.overdueAt, in.next = codec.OverdueAt(rec.Deadline), rec.NextAttemptAt
	in.record = []any{
		"facts", in.facts, "status", string(rec.Status), "updated", codec.Micros(rec.UpdatedAt), "next", "",
		"attempts", rec.Attempts, "deliveries", rec.Deliveries,
	}
	if response := in.one.Response; response != nil {
		code, value, size := codec.ResponseFields(response)
		in.record = append(in.record, "code", code, "response", value, "answered", size)
		in.bytes += len(value)
	}
	if result := rec.Result; result != nil {
		in.record = append(in.record, "reason", string(result.Reason), "error", result.Error,
			"completed", codec.Micros(result.CompletedAt), "took", int64(result.ProcessingTime))
	}
	if in.one.Request != nil {
		value := codec.EncodeRequest(in.one.Request)
		in.record = append(in.record, "request", value, "content", codec.ContentOf(in.one.Request))
		in.size = in.one.Request.Size()
		in.bytes += len(value)
	}
}

func (in *incoming) readLetter() {
	l := in.one.Letter
	if l == nil {
		return
	}
	facts := codec.EncodeFacts(&domain.Request{
		Endpoint: l.Endpoint, Owner: l.Owner, Priority: l.Priority, ResentFrom: l.ResentFrom,
		SubmittedAt: l.SubmittedAt, Deadline: l.Deadline,
	})
	if in.one.Record == nil {
		in.facts = facts
	}
	in.failed, in.letterLifetime = l.FailedAt.UnixMilli(), in.left(l.Expires)
	in.letter = []any{
		"facts", facts, "status", string(l.Status), "attempts", l.Attempts, "reason", string(l.Reason), "error", l.Error,
		"size", l.RequestSize, "failed", in.failed,
	}
	if l.StatusCode != 0 {
		in.letter = append(in.letter, "code", l.StatusCode)
	}
	if l.Request != nil {
		value := codec.EncodeRequest(l.Request)
		in.letter = append(in.letter, "request", value)
		in.bytes += len(value)
	}
	if len(l.Original.Value) > 0 {
		in.letter = append(in.letter, "message", l.Original.Value)
	}
	if len(l.Original.Fields) > 0 {
		in.letter = append(in.letter, "fields", codec.EncodeFields(l.Original.Fields))
	}
	in.bytes += int(l.Original.Size())
}

func (in *incoming) readKey() {
	k := in.one.Key
	if k == nil {
		return
	}
	in.keyLifetime = in.left(k.ExpiresAt)
	in.key = []any{
		"id", string(in.one.ID), "fingerprint", string(k.Fingerprint[:]), "submitted", codec.Micros(k.SubmittedAt),
	}
}

// parseKeyName reads what server.IdempotencyKey returned. It reports false for what that cannot have returned.
func parseKeyName(name string) (owner, key string, ok bool) {
	length, rest, _ := strings.Cut(name, ":")
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n >= len(rest) || rest[n] != ':' {
		return "", "", false
	}
	return rest[:n], rest[n+1:], true
}

// Owed says for people what keeps a queue from being moved although nothing uses it: other programs still wait for
// something of it, or have written to it; empty: nothing does.
func (m *Moves) Owed(ctx context.Context) (string, error) {
	if !m.server.Enter() {
		return "", ports.ErrClosed
	}
	defer m.server.Leave()
	var notices int64
	for _, s := range m.server.Shards {
		for _, kind := range []string{"results", "letters"} {
			told, err := m.server.Client.Exists(ctx, s.Key+":told:"+kind).Result()
			if err != nil {
				return "", server.Translate(err)
			}
			n, err := m.server.Client.XLen(ctx, s.Key+":outbox:"+kind).Result()
			if err != nil {
				return "", server.Translate(err)
			}
			notices += told * n
		}
	}
	if notices > 0 {
		return fmt.Sprintf("%d notices of results or dead letters are still owed to other programs", notices), nil
	}
	foreign, err := m.server.Client.XLen(ctx, m.opts.Queue).Result()
	if err != nil {
		return "", server.Translate(err)
	}
	if foreign > 0 {
		return fmt.Sprintf("%d messages are in the stream %s, for or from other programs", foreign, m.opts.Queue), nil
	}
	return "", nil
}
