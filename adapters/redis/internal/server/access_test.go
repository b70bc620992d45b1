package server

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAccessIsThatOfTheLastURLThatCanBeUsed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ first, then, username, password, failure string }{
		"a password":    {first: "redis://:a@h", then: "redis://:b@h", password: "b"},
		"a user":        {first: "redis://h", then: "redis://u:b@h", username: "u", password: "b"},
		"none any more": {first: "redis://:a@h", then: "redis://h"},
		"of a cluster":  {first: "redis://:a@h?addr=b:1", then: "redis://:b@h?addr=b:1", password: "b"},
		"of a master": {
			first: "redis://h?master_name=m&password=a", then: "redis://h?master_name=m&password=b", password: "b",
		},
		"of another server": {first: "redis://:a@h", then: "redis://:b@i", password: "a", failure: "another server"},
		"of no URL": {
			first: "redis://:a@h", then: "redis://:b%zz@h", password: "a", failure: "redis.url is not a valid",
		},
		"of another kind": {
			first: "redis://:a@h", then: "redis://:b@h/x", password: "a", failure: "redis.url is not a valid",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			access := new(Access)
			require.NoError(t, access.Renew(tt.first, nil))

			err := access.Renew(tt.then, nil)

			if tt.failure == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.failure)
			}
			username, password, err := access.credentials(t.Context())
			require.NoError(t, err)
			require.Equal(t, []string{tt.username, tt.password}, []string{username, password})
		})
	}
}

func TestAccessKeepsTheServerNameOfTheURL(t *testing.T) {
	t.Parallel()
	access := new(Access)
	given := &tls.Config{MinVersion: tls.VersionTLS13}
	require.NoError(t, access.Renew("rediss://h", given))
	require.Equal(t, "h", access.current.Load().secure.ServerName)
	require.Equal(t, uint16(tls.VersionTLS13), access.current.Load().secure.MinVersion)
	require.Empty(t, given.ServerName)
}
