package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/ports"
)

// trouble is a kind of error that Redis answers with, told by the code that its text begins with.
type trouble struct {
	code string
	port error
	text string
}

var troubles = []trouble{
	{"WRONGPASS", ports.ErrUnavailable, "redis does not know this user and password"},
	{"NOAUTH", ports.ErrUnavailable, "redis asks for a password"},
	{"NOPERM", ports.ErrUnavailable, "redis does not allow this user to do that"},
	{"The user executing the script", ports.ErrUnavailable, "redis does not allow this user to do that"},
	{"READONLY", ports.ErrUnavailable, "this redis is a replica, which takes no writes"},
	{"OOM", ports.ErrFull, "redis has reached maxmemory"},
	{"LOADING", ports.ErrUnavailable, "redis is still loading its data"},
	{"CLUSTERDOWN", ports.ErrUnavailable, "the redis cluster is down"},
	{"MASTERDOWN", ports.ErrUnavailable, "the redis master is down"},
	{"NOREPLICAS", ports.ErrUnavailable, "redis has too few replicas to take writes"},
	{"MISCONF", ports.ErrUnavailable, "redis cannot write to its disk"},
	{"UNBLOCKED", ports.ErrUnavailable, "redis ended a read that waited: it became a replica, or what was read is gone"},
	{"BUSY", ports.ErrUnavailable, "redis is busy with another script"},
	{"max number of clients", ports.ErrUnavailable, "redis has too many clients"}, // the one without a code
}

// translate makes an error of a port of what go-redis or Redis say. It is called once for each of their errors.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, redis.ErrClosed) {
		return ports.ErrClosed
	}
	for _, t := range troubles {
		if redis.HasErrorPrefix(err, t.code) {
			return fmt.Errorf("%w: %s (%w)", t.port, t.text, err)
		}
	}
	if _, answered := errors.AsType[redis.Error](err); answered {
		return fmt.Errorf("%w: redis answered: %w", ports.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: redis: %w", ports.ErrUnavailable, err)
}

// unconfirmed is the error of a caller that gives up waiting.
func unconfirmed(ctx context.Context) error {
	return fmt.Errorf("%w: not confirmed by redis in time: %w", ports.ErrUnavailable, context.Cause(ctx))
}
