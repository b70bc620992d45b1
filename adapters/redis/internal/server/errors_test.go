package server

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

// answer is an error that Redis answers with, as a hook may hand it on.
type answer string

func (a answer) Error() string { return string(a) }
func (a answer) RedisError()   {}

func TestErrorRepliesAreClassifiedByTheirCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give     error
		want     error
		wantText string
	}{
		{answer("WRONGPASS invalid username-password pair or user is disabled."), ports.ErrRefused, "user and password"},
		{answer("NOAUTH Authentication required."), ports.ErrRefused, "password"},
		{answer("NOPERM this user has no permissions"), ports.ErrRefused, "not allow"},
		{answer("ERR The user executing the script can't run this command"), ports.ErrRefused, "not allow"},
		{answer("ERR ACL failure in script: User has no permissions"), ports.ErrRefused, "not allow"},
		{answer("WRONGTYPE Operation against a key holding the wrong kind of value"), ports.ErrRefused, "under a key"},
		{answer("TRYAGAIN Multiple keys request during rehashing of slot"), ports.ErrUnavailable, "moving"},
		{answer("READONLY You can't write against a read only replica."), ports.ErrUnavailable, "replica"},
		{answer("OOM command not allowed when used memory > 'maxmemory'."), ports.ErrFull, "maxmemory"},
		{answer("LOADING Redis is loading the dataset in memory"), ports.ErrUnavailable, "loading"},
		{answer("CLUSTERDOWN Hash slot not served"), ports.ErrUnavailable, "cluster is down"},
		{answer("MASTERDOWN Link with MASTER is down"), ports.ErrUnavailable, "master is down"},
		{answer("NOREPLICAS Not enough good replicas to write."), ports.ErrUnavailable, "too few replicas"},
		{answer("MISCONF Redis is configured to save RDB snapshots"), ports.ErrUnavailable, "disk"},
		{answer("ERR max number of clients reached"), ports.ErrUnavailable, "too many clients"},
		{answer("BUSY Redis is busy running a script."), ports.ErrUnavailable, "another script"},
		{answer("UNBLOCKED force unblock from blocking operation"), ports.ErrUnavailable, "became a replica"},
		{answer("BUSYGROUP Consumer Group name already exists"), ports.ErrRefused, "redis answered"},
		{answer("ERR unknown"), ports.ErrRefused, "redis answered"},
		{io.EOF, ports.ErrUnavailable, "redis: wrapped: EOF"},
		{redis.ErrClosed, ports.ErrClosed, ""},
	} {
		t.Run(tt.give.Error(), func(t *testing.T) {
			t.Parallel()
			err := Translate(fmt.Errorf("wrapped: %w", tt.give))
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.wantText)
			for _, other := range []error{ports.ErrUnavailable, ports.ErrRefused, ports.ErrFull, ports.ErrClosed} {
				require.Equal(t, errors.Is(tt.want, other), errors.Is(err, other), "it is one thing only")
			}
		})
	}
	require.NoError(t, Translate(nil))
}
