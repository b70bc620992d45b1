package server

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Redis may refuse a part of the work while the rest goes on: a command that the user may not run, a key that another
// program has put something else under. That is no outage, which would begin and end with each call. It is noted here
// until nobody has met it for a while: every loop tries again within outage.LongestPause.
const (
	refusalStands = 3 * outage.LongestPause
	refusalPause  = 5 * time.Second // between two lines of the log
	maxRefusals   = 16              // that are told apart
)

// refusedParts are what Redis refuses. They are safe for concurrent use.
type refusedParts struct {
	logger *slog.Logger
	now    func() time.Time

	some   atomic.Bool // there are some: what every call looks at
	mu     sync.Mutex
	met    map[string]*refusedPart // by text
	logged time.Time               // the last line
}

// refusedPart is one of them.
type refusedPart struct {
	err    error
	last   time.Time
	logged bool
}

func newRefusedParts(logger *slog.Logger, now func() time.Time) *refusedParts {
	return &refusedParts{logger: logger, now: now, met: make(map[string]*refusedPart)}
}

// partial reports whether an error of a port is about a part of the work. Without a valid password nothing works.
func partial(err error) bool {
	return errors.Is(err, ports.ErrRefused) &&
		!redis.HasErrorPrefix(err, "WRONGPASS ") && !redis.HasErrorPrefix(err, "NOAUTH ")
}

// note notes a refusal. Each is logged once, the first one at once.
func (r *refusedParts) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := err.Error()
	part := r.met[text]
	if part == nil && len(r.met) == maxRefusals {
		return
	}
	if part == nil {
		part = &refusedPart{err: err}
		r.met[text] = part
		r.some.Store(true)
	}
	part.last = r.now()
	if !part.logged && part.last.Sub(r.logged) >= refusalPause {
		part.logged, r.logged = true, part.last
		r.logger.Error("redis refuses a part of the work; retrying until it is allowed (check permissions and keys)",
			"broker", "redis", "error", err)
	}
}

// end forgets what nobody has met for a while, and logs when nothing is left.
func (r *refusedParts) end() {
	if !r.some.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	before := len(r.met)
	maps.DeleteFunc(r.met, func(_ string, part *refusedPart) bool { return now.Sub(part.last) >= refusalStands })
	if len(r.met) == 0 && before > 0 {
		r.some.Store(false)
		r.logger.Info("redis refuses nothing any more", "broker", "redis")
	}
}

// standing returns what is refused, one that stops the work first; empty: nothing is.
func (r *refusedParts) standing() []error {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, part := range r.met {
		errs = append(errs, part.err)
	}
	slices.SortFunc(errs, func(a, b error) int {
		if stops(a) != stops(b) {
			return map[bool]int{true: -1, false: 1}[stops(a)]
		}
		return strings.Compare(a.Error(), b.Error())
	})
	return errs
}

// shardError is an error of a script in a shard.
type shardError struct {
	script, shard string
	err           error
}

func (e *shardError) Error() string { return e.script + " on " + e.shard + ": " + e.err.Error() }

func (e *shardError) Unwrap() error { return e.err }

// stops reports whether no request can get on with what is refused: a script is, whatever it is about.
func stops(err error) bool {
	_, inShard := errors.AsType[*shardError](err)
	return inShard && slices.ContainsFunc(denials, func(begins string) bool { return redis.HasErrorPrefix(err, begins) })
}

// named returns an error of Redis with what it is about; nil stays nil.
func named(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
