package redis

import (
	"fmt"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// stateIn reads the record in an answer. It reports false when there is none.
func stateIn(id domain.ID, answer script.Answer) (codec.State, bool, error) {
	state, found, err := codec.ReadState(id, script.Row{Names: codec.StateFields, Values: answer.List("state")})
	if err != nil {
		err = fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return state, found, err
}

// unexpected returns the error for an answer that no script of this version returns.
func unexpected(answer script.Answer) error {
	return fmt.Errorf("%w: unexpected answer %q from a script in redis", ports.ErrUnavailable, answer.Word())
}
