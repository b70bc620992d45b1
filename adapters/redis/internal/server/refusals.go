package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/ports"
)

// partial reports whether an error of a port is about a part of the work: a command that the user may not run, a key
// that another program has put something else under. Without a valid password nothing works.
func partial(err error) bool {
	return errors.Is(err, ports.ErrRefused) &&
		!redis.HasErrorPrefix(err, "WRONGPASS ") && !redis.HasErrorPrefix(err, "NOAUTH ")
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
