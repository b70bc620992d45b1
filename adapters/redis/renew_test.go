package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/ports"
)

func TestARenewedPasswordEndsAnOutage(t *testing.T) {
	t.Parallel()
	inFront := func(url, password string) string {
		return strings.Replace(url, "redis://", "redis://ann:"+password+"@", 1)
	}
	for name, tt := range map[string]struct {
		start    func(t *testing.T) (servers []*server, url string)
		withUser func(url, password string) string
	}{
		"one server": {
			start: func(t *testing.T) ([]*server, string) {
				t.Helper()
				s := startServer(t)
				return []*server{s}, s.url()
			},
			withUser: inFront,
		},
		"a Cluster": {
			start: func(t *testing.T) ([]*server, string) {
				t.Helper()
				return startMasters(t)
			},
			withUser: inFront,
		},
		"a master behind a Sentinel": {
			start: func(t *testing.T) ([]*server, string) {
				t.Helper()
				s := startServer(t)
				return []*server{s}, startSentinel(t, s)
			},
			withUser: func(url, password string) string { return url + "&username=ann&password=" + password },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers, url := tt.start(t)
			command := func(words ...any) {
				for _, s := range servers {
					require.NoError(t, s.client().Do(t.Context(), words...).Err())
				}
			}
			command("ACL", "SETUSER", "ann", "on", ">old", "~*", "&*", "+@all")
			opts := options(tt.withUser(url, "old"))
			opts.Access = new(redis.Access)
			require.NoError(t, opts.Access.Renew(opts.URL, nil))
			db := openDB(t, opts)
			accept(t, db, newRequest())

			command("ACL", "SETUSER", "ann", "resetpass", ">new")
			command("CLIENT", "KILL", "USER", "ann")
			require.Eventually(t, func() bool {
				err := db.Probe(t.Context())
				return err != nil && strings.Contains(err.Error(), "WRONGPASS")
			}, patience, 10*time.Millisecond, "the old password is still good")
			require.Error(t, publish(t, outlet(t, db, otherStream), "lost")[0], "what is not published is not confirmed")
			require.ErrorIs(t, tryAccept(t.Context(), db, newRequest()), ports.ErrRefused)

			require.NoError(t, opts.Access.Renew(tt.withUser(url, "new"), nil))
			require.Eventually(t, func() bool {
				return tryAccept(t.Context(), db, newRequest()) == nil
			}, patience, 10*time.Millisecond, "the new password is not used")
			require.NoError(t, db.Probe(t.Context()))
		})
	}
}
