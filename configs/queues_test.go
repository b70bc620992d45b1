package configs

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loadExample loads the example of a queue. Each variable that it needs is "s3cret".
func loadExample(t *testing.T, queue string) Config {
	t.Helper()
	path := filepath.Join("examples", queue+".yaml")
	var environ []string
	for _, needed := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(readText(t, path), -1) {
		environ = append(environ, needed[1]+"=s3cret")
	}
	config, warnings, err := Load(Sources{File: path, Environ: environ})
	require.NoError(t, err)
	require.Empty(t, warnings)
	return config
}

func TestEveryQueueHasAnExample(t *testing.T) {
	t.Parallel()
	for _, q := range queueTypes {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			config := loadExample(t, q.name)
			require.NoError(t, config.ResolveSecrets())
			require.Equal(t, q.name, config.Queue.Type)
			require.Equal(t, q.store, config.Store.Type)
			if q.store != storeRedis {
				return
			}
			url, err := config.ResolveRedis()
			require.NoError(t, err)
			require.Equal(t, "redis://:s3cret@localhost:6379", url)
		})
	}
}

func TestEveryQueueHasOneStore(t *testing.T) {
	t.Parallel()
	stores := []string{storeAuto}
	for _, q := range queueTypes {
		if !slices.Contains(stores, q.store) {
			stores = append(stores, q.store)
		}
	}
	for _, q := range queueTypes {
		for _, store := range append(stores, "cupboard") {
			t.Run(q.name+" "+store, func(t *testing.T) {
				t.Parallel()
				sources := Sources{Flags: map[string]string{"queue.type": q.name, "store.type": store}}
				if store != storeAuto && store != q.store {
					require.Equal(t, []string{
						`--store.type: store.type: "` + store + `": must be auto or "` + q.store + `" with queue.type "` + q.name + `"`,
					}, faultsOf(t, sources))
					return
				}
				config, _, err := Load(sources)
				require.NoError(t, err)
				require.Equal(t, q.store, config.Store.Type)
			})
		}
	}
}

func TestTheLeaseIsTheConfiguredOneWhereABrokerHasNoneOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, queue := range []string{QueueEmbedded, QueueRedis} {
		config := loadYAML(t, "queue: {lease: 20s, requests: a, type: "+queue+"}")
		require.Equal(t, 20*time.Second, config.Lease(), queue)
		require.Equal(t, "a", config.HighRequests(), "both lanes are under one name")
	}
}

func TestTheExampleForTheEmbeddedQueue(t *testing.T) {
	t.Parallel()
	config := loadExample(t, QueueEmbedded)
	require.Len(t, config.Proxy.Endpoints, 2)
	token, err := config.Proxy.Endpoints["orders"].Auth.Token.Resolve()
	require.NoError(t, err)
	require.Equal(t, "s3cret", token)
	require.Equal(t, 12, config.Proxy.Endpoints["orders"].Retry.MaxAttempts)
	require.Equal(t, []int{429, 503}, config.Proxy.Endpoints["notify"].Retry.OnStatus)
}
