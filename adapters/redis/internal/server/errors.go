package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/ports"
)

// A refusal is a kind of error reply. By the protocol the first word of an error reply is its code.
type refusal struct {
	begins string // the code, or how the text begins where the code is only the general ERR
	port   error
	text   string
}

var refusals = []refusal{
	{"WRONGPASS ", ports.ErrRefused, "redis does not know this user and password"},
	{"NOAUTH ", ports.ErrRefused, "redis asks for a password"},
	{"NOPERM ", ports.ErrRefused, notAllowed},
	{"WRONGTYPE ", ports.ErrRefused, wrongType},
	{"READONLY ", ports.ErrUnavailable, "this redis is a replica, which accepts no writes"},
	{"OOM ", ports.ErrFull, "redis has reached maxmemory"},
	{"LOADING ", ports.ErrUnavailable, "redis is still loading its data"},
	{"CLUSTERDOWN ", ports.ErrUnavailable, "the redis cluster is down"},
	{"MASTERDOWN ", ports.ErrUnavailable, "the redis master is down"},
	{"NOREPLICAS ", ports.ErrUnavailable, "redis has too few replicas to accept writes"},
	{"MISCONF ", ports.ErrUnavailable, "redis cannot write to its disk"},
	{"TRYAGAIN ", ports.ErrUnavailable, "redis is moving the keys to another node"},
	{"MOVED ", ports.ErrUnavailable, "redis has moved the keys to another node"},
	{"ASK ", ports.ErrUnavailable, "redis is moving the keys to another node"},
	{"UNBLOCKED ", ports.ErrUnavailable, "redis ended a read that waited: it became a replica, or what was read is gone"},
	{"BUSY ", ports.ErrUnavailable, "redis is busy with another script"},

	// Without a code: the permission that a script lacks, in 7.0 and in later versions, and the limit on connections.
	{"The user executing the script", ports.ErrRefused, notAllowed},
	{"ACL failure in script", ports.ErrRefused, notAllowed},
	{"max number of clients reached", ports.ErrUnavailable, "redis has too many clients"},
}

const (
	notAllowed = "redis does not allow this user to do that"
	wrongType  = "another program has put something else under a key"
)

// denials are how refusals begin that an ACL is the reason of: the last two are of scripts.
var denials = []string{"NOPERM ", "The user executing the script", "ACL failure in script"}

// Translate returns the port's error for an error of go-redis or Redis. It is called once for each of them.
func Translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, redis.ErrClosed) {
		return ports.ErrClosed
	}
	for _, r := range refusals {
		if redis.HasErrorPrefix(err, r.begins) { // which skips ERR
			return fmt.Errorf("%w: %s (%w)", r.port, r.text, err)
		}
	}
	if _, answered := errors.AsType[redis.Error](err); answered {
		return fmt.Errorf("%w: redis answered: %w", ports.ErrRefused, err)
	}
	return fmt.Errorf("%w: redis: %w", ports.ErrUnavailable, err)
}

// Unconfirmed returns the error for a caller that stops waiting.
func Unconfirmed(ctx context.Context) error {
	return fmt.Errorf("%w: not confirmed by redis in time: %w", ports.ErrUnavailable, context.Cause(ctx))
}
