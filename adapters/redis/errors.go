package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/ports"
)

// A refusal is a kind of error reply. By the protocol the first word of an error reply is its code.
type refusal struct {
	code string
	port error
	text string
}

var refusals = []refusal{
	{"WRONGPASS", ports.ErrUnavailable, "redis does not know this user and password"},
	{"NOAUTH", ports.ErrUnavailable, "redis asks for a password"},
	{"NOPERM", ports.ErrUnavailable, notAllowed},
	{"READONLY", ports.ErrUnavailable, "this redis is a replica, which takes no writes"},
	{"OOM", ports.ErrFull, "redis has reached maxmemory"},
	{"LOADING", ports.ErrUnavailable, "redis is still loading its data"},
	{"CLUSTERDOWN", ports.ErrUnavailable, "the redis cluster is down"},
	{"MASTERDOWN", ports.ErrUnavailable, "the redis master is down"},
	{"NOREPLICAS", ports.ErrUnavailable, "redis has too few replicas to take writes"},
	{"MISCONF", ports.ErrUnavailable, "redis cannot write to its disk"},
	{"UNBLOCKED", ports.ErrUnavailable, "redis ended a read that waited: it became a replica, or what was read is gone"},
	{"BUSY", ports.ErrUnavailable, "redis is busy with another script"},
}

const notAllowed = "redis does not allow this user to do that"

// deniedInScript are how the replies begin when a script may not do something. Redis gives them only the general code
// ERR, so there is nothing else to tell them by: the first is of 7.0 (scriptVerifyACL in script.c), the second of later
// versions.
var deniedInScript = []string{"The user executing the script", "ACL failure in script"}

// describe returns what an error reply means, and the port's error for it; nil when it is not known.
func describe(err error) (text string, port error) {
	for _, r := range refusals {
		if redis.HasErrorPrefix(err, r.code+" ") {
			return r.text, r.port
		}
	}
	if redis.IsMaxClientsError(err) {
		return "redis has too many clients", ports.ErrUnavailable
	}
	for _, beginning := range deniedInScript {
		if redis.HasErrorPrefix(err, beginning) {
			return notAllowed, ports.ErrUnavailable
		}
	}
	return "", nil
}

// translate returns the port's error for an error of go-redis or Redis. It is called once for each of them.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, redis.ErrClosed) {
		return ports.ErrClosed
	}
	if text, port := describe(err); port != nil {
		return fmt.Errorf("%w: %s (%w)", port, text, err)
	}
	if _, answered := errors.AsType[redis.Error](err); answered {
		return fmt.Errorf("%w: redis answered: %w", ports.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: redis: %w", ports.ErrUnavailable, err)
}

// unconfirmed returns the error for a caller that stops waiting.
func unconfirmed(ctx context.Context) error {
	return fmt.Errorf("%w: not confirmed by redis in time: %w", ports.ErrUnavailable, context.Cause(ctx))
}
