package redis

import (
	"context"
	"strconv"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

var _ ports.Outcomes = (*DB)(nil)

// Conclude makes requests final: each is one script, and many share a round trip.
func (db *DB) Conclude(ctx context.Context, conclusions []ports.Conclusion) []error {
	if !db.enter() {
		errs := make([]error, len(conclusions))
		for i := range errs {
			errs[i] = ports.ErrClosed
		}
		return errs
	}
	defer db.leave()
	left := make([]quest, len(conclusions))
	for i := range conclusions {
		left[i] = quest{i, db.searched(conclusions[i].ID)}
	}
	errs := make([]error, len(conclusions))
	concluding := func(i int, s *shard, _ bool) *op { return db.concluding(s, &conclusions[i]) }
	db.seek(ctx, db.outcomes, left, concluding, func(i int, _ *shard, answer script.Answer, err error) {
		errs[i] = db.concluded(conclusions[i].ID, answer, err)
	})
	return errs
}

// concluding is the script that saves a result.
func (db *DB) concluding(s *shard, c *ports.Conclusion) *op {
	code, response, size := "", []byte{}, int64(0)
	if c.Result.Response != nil {
		code, response = strconv.Itoa(c.Result.Response.StatusCode), encodeResponse(c.Result.Response)
		size = c.Result.Response.Size()
	}
	return newOp(s, len(response), script.Conclude.Call(
		"id", string(c.ID),
		"status", string(c.Status),
		"updated", micros(c.Result.CompletedAt),
		"reason", string(c.Result.Reason),
		"problem", c.Result.Error,
		"took", int64(c.Result.ProcessingTime),
		"code", code,
		"response", response,
		"answered", size,
		"lifetime", db.opts.TTL.Milliseconds(),
		"letterLifetime", db.opts.DeadLetterTTL.Milliseconds(),
	))
}

// concluded reads the answer.
func (db *DB) concluded(id domain.ID, answer script.Answer, err error) error {
	if err != nil {
		return err
	}
	switch answer.Word() {
	case "missing":
		return ports.ErrNotFound
	case "ended":
		if st, found, err := decodeState(id, answer.List("state")); err == nil && found {
			db.tellEnded(&st)
		}
		return nil
	case "same":
		return nil
	default:
		return unexpected(answer)
	}
}

// RejectResult makes a dead letter of a result.
func (db *DB) RejectResult(ctx context.Context, req domain.Request, message []byte, cause error) error {
	return db.rejectNoted(ctx, &req, message, cause, true)
}
