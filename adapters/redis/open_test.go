package redis_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	guarded := startServer(t, "--requirepass", "sesame")
	replica := startServer(t, "--replicaof", "127.0.0.1 1")
	for _, tt := range []struct {
		name string
		give string
		want string
	}{
		{"nobody is there", "redis://" + freeAddress(t), "connection refused"},
		{"no password", guarded.url(), "asks for a password"},
		{"a wrong password", "redis://:open-sesame@" + guarded.address, "user and password"},
		{"a replica", replica.url(), "replica"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log testkit.LogBuffer
			opts := options(tt.give)
			opts.Logger = log.Logger()
			began := time.Now()
			_, err := redis.Open(t.Context(), opts)
			require.ErrorIs(t, err, ports.ErrUnavailable)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "sesame")
			require.Less(t, time.Since(began), 10*time.Second)
			where, parseErr := url.Parse(tt.give)
			require.NoError(t, parseErr)
			require.ErrorContains(t, err, where.Host, "it names the server")
			require.Empty(t, log.String(), "nothing is tried again")
		})
	}
}

func TestNamesWithBracesAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a{b", "a}b"} {
		opts := options("redis://localhost")
		opts.Queue = name
		_, err := redis.Open(t.Context(), opts)
		require.ErrorContains(t, err, "queue.requests")
	}
}

func TestAllProcessesHaveTheSameShards(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.Shards = 2
	for range 2 {
		openDB(t, opts)
	}
	opts.Shards = 3
	_, err := redis.Open(t.Context(), opts)
	require.ErrorContains(t, err, "redis.shards is 3, but the queue was created with 2")
}

func TestAPasswordOpens(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--requirepass", "sesame")
	accept(t, openDB(t, options("redis://:sesame@"+s.address)), newRequest())
}

func TestSettingsThatMayLoseRequestsAreReported(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want []string // parts
	}{
		{"all is well", nil, nil},
		{"no persistence", []string{"--appendonly", "no"}, []string{"persistence"}},
		{"snapshots alone", []string{"--appendonly", "no", "--save", "3600 1"}, []string{"persistence"}},
		{
			"eviction",
			[]string{"--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"},
			[]string{"eviction"},
		},
		{"a policy without a limit", []string{"--maxmemory-policy", "volatile-ttl"}, nil},
		{"nobody may ask", []string{
			"--appendonly", "no", "--user", "default", "on", "nopass", "~*", "&*", "+@all", "-config",
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log testkit.LogBuffer
			opts := options(startServer(t, tt.args...).url())
			opts.Logger = log.Logger()
			details := openDB(t, opts).Details()
			require.Len(t, details, len(tt.want))
			for _, part := range tt.want {
				require.Contains(t, details, part)
				require.Contains(t, log.String(), details[part])
			}
		})
	}
}
