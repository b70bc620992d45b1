package configs

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loadExample loads the example of a queue, with all the variables that examples may need.
func loadExample(t *testing.T, queue string) Config {
	t.Helper()
	config, warnings, err := Load(Sources{
		File:    filepath.Join("examples", queue+".yaml"),
		Environ: []string{"KAFKA_PASSWORD=k4fka", "REDIS_PASSWORD=s3cret", "ORDERS_TOKEN=t0ken"},
	})
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
