package server

import (
	"crypto/tls"
	"runtime"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestURLsSayWhatToConnectTo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give string
		want redis.UniversalClient
	}{
		{"redis://localhost:6379", &redis.Client{}},
		{"rediss://user:secret@redis.example:6380/2?read_timeout=1s", &redis.Client{}},
		{"unix:///run/redis.sock", &redis.Client{}},
		{"redis://a:1?addr=b:2&addr=c:3", &redis.ClusterClient{}},
		{"redis://a:26379?master_name=main&addr=b:26379", &redis.Client{}},
	} {
		client, blocking, err := connect(tt.give, nil, nil, 0)
		require.NoError(t, err)
		require.IsType(t, tt.want, client)
		require.IsType(t, tt.want, blocking)
		require.NoError(t, client.Close())
		require.NoError(t, blocking.Close())
	}
}

func TestWrongURLsAreErrorsWithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, give := range []string{
		"", "localhost:6379", "http://u:sesame@a", "redis://u:sesame@a:b:c", "redis://u:sesame@a/notanumber",
		"redis://u:sesame%zz@a", "redis://u:sesame@a?unknown=1", "redis://u:sesame@a?addr=b",
		"redis://u:sesame@a?master_name=m&unknown=1", "redis://u:ses\x00ame@a",
	} {
		_, _, err := connect(give, nil, nil, 0)
		require.ErrorContains(t, err, "redis.url", give)
		require.NotContains(t, err.Error(), "sesame")
		require.NotContains(t, err.Error(), "ame@")
	}
}

func TestAddressesAreWithoutSecrets(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a:6379", address("redis://user:sesame@a:6379/2?password=sesame"))
	require.Equal(t, "/run/redis.sock", address("unix:///run/redis.sock"))
	require.Equal(t, "redis.url", address("redis://u:sesame%zz@a"))
}

func TestInfoFields(t *testing.T) {
	t.Parallel()
	info := "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
	require.Equal(t, "7.0.15", infoField(info, "redis_version"))
	require.Empty(t, infoField(info, "redis"))
}

func TestTLSIsUsedWhenTheURLAsksForIt(t *testing.T) {
	t.Parallel()
	given := &tls.Config{MinVersion: tls.VersionTLS13}
	named := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "c"}
	for _, tt := range []struct {
		name string
		url  string
		give *tls.Config
		want *tls.Config
	}{
		{"not asked for", "redis://a", given, nil},
		{"go-redis's own", "rediss://a", nil, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "a"}},
		{"one server", "rediss://a:1", given, &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "a"}},
		{"cluster", "rediss://a:1?addr=b:2", given, &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "a"}},
		{"sentinel", "rediss://a:1?master_name=m", given, &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "a"}},
		{"a name of its own", "rediss://a", named, named},
		{
			"no verification", "rediss://a?skip_verify=true", given,
			&tls.Config{MinVersion: tls.VersionTLS13, ServerName: "a", InsecureSkipVerify: true},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, blocking, err := connect(tt.url, tt.give, nil, 0)
			require.NoError(t, err)
			for _, client := range []redis.UniversalClient{client, blocking} {
				require.Equal(t, tt.want, tlsOf(client))
				require.NoError(t, client.Close())
			}
		})
	}
	require.Empty(t, given.ServerName, "what was given is not changed")
}

func tlsOf(client redis.UniversalClient) *tls.Config {
	switch client := client.(type) {
	case *redis.ClusterClient:
		return client.Options().TLSConfig
	case *redis.Client:
		return client.Options().TLSConfig
	default:
		return nil
	}
}

func TestAPoolIsNoLargerThanItMayBe(t *testing.T) {
	t.Parallel()
	usual := usualPool * runtime.GOMAXPROCS(0)
	for _, tt := range []struct {
		pool pool
		url  int
		want int
	}{
		{pool{}, 0, 0},
		{pool{}, 7, 7},
		{pool{size: 1024}, 7, 1024},
		{pool{most: 5}, 0, 5},
		{pool{most: 5}, 7, 5},
		{pool{most: 5}, 3, 3},
		{pool{most: usual + 1}, 0, usual},
	} {
		require.Equal(t, tt.want, tt.pool.of(tt.url), tt)
	}
	client, _, err := connect("redis://localhost?pool_size=50", nil, nil, 20)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	one, ok := client.(*redis.Client)
	require.True(t, ok)
	require.Equal(t, 20, one.Options().PoolSize)
}
