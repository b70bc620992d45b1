package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Cancel ends a request that nobody has begun.
func (r *Requests) Cancel(ctx context.Context, id domain.ID) (domain.Record, error) {
	if !r.server.Enter() {
		return domain.Record{}, ports.ErrClosed
	}
	defer r.server.Leave()
	for _, s := range r.server.Searched(id) {
		rec, err := r.cancelIn(ctx, s, id)
		if !errors.Is(err, ports.ErrNotFound) {
			return rec, err
		}
	}
	return domain.Record{}, ports.ErrNotFound
}

func (r *Requests) cancelIn(ctx context.Context, s *server.Shard, id domain.ID) (domain.Record, error) {
	result := r.outcomes.Do(ctx, server.NewOp(s, 0, script.Cancel.Call(
		"id", string(id), "updated", codec.Micros(s.Theirs(r.opts.Now())), "lifetime", r.opts.TTL.Milliseconds(),
	)))[0]
	word := result.Answer.Word()
	if result.Err != nil {
		return domain.Record{}, result.Err
	}
	if word == "missing" {
		return domain.Record{}, ports.ErrNotFound
	}
	state, found, err := stateIn(id, result.Answer)
	switch {
	case err != nil:
		return domain.Record{}, err
	case !found:
		return domain.Record{}, ports.ErrNotFound
	case word == "conflict":
		return state.Record, ports.ErrConflict
	case word == "ended":
		r.news.ended(&state)
	}
	return state.Record, nil
}

// Conclude makes requests final with results of other programs: each with one script, and many share a round trip.
func (r *Requests) Conclude(ctx context.Context, conclusions []ports.Conclusion) []error {
	if !r.server.Enter() {
		return server.Closed(len(conclusions))
	}
	defer r.server.Leave()
	places := make([][]*server.Shard, len(conclusions))
	for i := range conclusions {
		places[i] = r.server.Searched(conclusions[i].ID)
	}
	found := r.outcomes.Search(ctx, places, func(i int, s *server.Shard, _ bool) *server.Op {
		return r.concluding(s, &conclusions[i])
	})
	errs := make([]error, len(conclusions))
	for i := range found {
		errs[i] = r.concluded(conclusions[i].ID, found[i].Result)
	}
	return errs
}

// concluding is the script that saves a result.
func (r *Requests) concluding(s *server.Shard, c *ports.Conclusion) *server.Op {
	code, response, size := codec.ResponseFields(c.Result.Response)
	return server.NewOp(s, len(response), script.Conclude.Call(
		"id", string(c.ID),
		"status", string(c.Status),
		"updated", codec.Micros(s.Theirs(c.Result.CompletedAt)),
		"reason", string(c.Result.Reason),
		"problem", c.Result.Error,
		"took", int64(c.Result.ProcessingTime),
		"code", code,
		"response", response,
		"answered", size,
		"lifetime", r.opts.TTL.Milliseconds(),
		"letterLifetime", r.opts.DeadLetterTTL.Milliseconds(),
	))
}

// concluded reads the answer of conclude.lua.
func (r *Requests) concluded(id domain.ID, result server.Result) error {
	if result.Err != nil {
		return result.Err
	}
	switch result.Answer.Word() {
	case "missing":
		return ports.ErrNotFound
	case "ended":
		r.news.endedIn(id, result.Answer)
		return nil
	case "same":
		return nil
	default:
		return unexpected(result.Answer)
	}
}

// Reject makes a dead letter of a message that is no request, or not a new one.
func (r *Requests) Reject(ctx context.Context, rejection ports.Rejection) error {
	return r.reject(ctx, &rejection, false)
}

// RejectResult makes a dead letter of a message that cannot be read as a result. There is no notice of its own result.
func (r *Requests) RejectResult(ctx context.Context, rejection ports.Rejection) error {
	return r.reject(ctx, &rejection, true)
}

func (r *Requests) reject(ctx context.Context, rejection *ports.Rejection, noNotice bool) error {
	if !r.server.Enter() {
		return ports.ErrClosed
	}
	defer r.server.Leave()
	id, cause := rejection.Request.ID, rejection.Cause
	result := r.outcomes.Do(ctx, r.rejecting(rejection, id, cause, noNotice))[0]
	if result.Err == nil && result.Answer.Word() == "used" && id != rejection.Spare {
		cause = fmt.Errorf("%w; its id %s belongs to another request", cause, id)
		id = rejection.Spare
		result = r.outcomes.Do(ctx, r.rejecting(rejection, id, cause, noNotice))[0]
	}
	if result.Err != nil {
		return result.Err
	}
	if result.Answer.Word() == "ended" {
		r.news.endedIn(id, result.Answer)
		r.rejected.log(r.opts.Logger, r.opts.Now(), id, cause)
	}
	return nil
}

// rejecting is the script that makes the dead letter under an id.
func (r *Requests) rejecting(rejection *ports.Rejection, id domain.ID, cause error, noNotice bool) *server.Op {
	s := r.server.ShardOf(string(id))
	original, fields, request := &rejection.Original, []byte{}, []byte{}
	if len(original.Fields) > 0 {
		fields = codec.EncodeFields(original.Fields)
	}
	if rejection.Whole {
		request = codec.EncodeRequest(s.TheirRequest(&rejection.Request))
	}
	size := len(original.Value) + len(fields) + len(request)
	return server.NewOp(s, size, script.Reject.Call(
		"id", string(id),
		"facts", codec.EncodeFacts(s.TheirRequest(&rejection.Request)),
		"message", string(original.Value),
		"fields", fields,
		"request", request,
		"content", codec.ContentOfOriginal(original),
		"reason", string(rejection.Reason),
		"problem", cause.Error(),
		"lifetime", r.opts.TTL.Milliseconds(),
		"letterLifetime", r.opts.DeadLetterTTL.Milliseconds(),
		"noNotice", noNotice,
	))
}

// rejections logs messages that are rejected, some of them one by one and the rest by their number.
type rejections struct {
	mu    sync.Mutex
	rarer outage.Rarely
}

func (r *rejections) log(logger *slog.Logger, now time.Time, id domain.ID, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.rarer.Note(now); n > 0 {
		logger.Error("messages are rejected; each is a dead letter now (fix their producer)",
			"count", n, "correlation_id", id, "error", cause)
	}
}
