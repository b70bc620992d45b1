package bootstrap

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/configs"
)

func TestClientsGetTheFilesThatNothingElseNeeds(t *testing.T) {
	t.Parallel()
	embedded := func(*configs.Config) {}
	worker := func(c *configs.Config) { c.Proxy.Endpoints = endpointsNamed(1) }
	many := func(c *configs.Config) { c.Proxy.Endpoints = endpointsNamed(101) }
	spare := httpapi.SparePlaces
	for _, tt := range []struct {
		name   string
		files  int
		change func(*configs.Config)
		want   descriptors
	}{
		{"plenty", 1 << 20, embedded, descriptors{clients: 20000, database: 1000, idle: 64}},
		{"few", 256, worker, descriptors{clients: 256 - 32 - 74 - 16 - 64 - 16 - spare, database: 74, idle: 64}},
		{"some", 4096, worker, descriptors{clients: 4096 - 32 - 1000 - 16 - 64 - 64 - spare, database: 1000, idle: 64}},
		{
			"many endpoints", 4096, many,
			descriptors{clients: 4096 - 32 - 1000 - 16 - 64 - 64 - 100*10 - spare, database: 1000, idle: 10},
		},
		{
			"three addresses", 4096,
			func(c *configs.Config) {
				c.Server.AdminListen, c.Proxy.Transparent.Listen = "127.0.0.1:1", "127.0.0.1:2"
			},
			descriptors{clients: 1312, admins: 375, database: 1000, idle: 64},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := load(t, nil)
			tt.change(&config)
			got, err := shareDescriptors(tt.files, config)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTooFewFilesFailTheStart(t *testing.T) {
	t.Parallel()
	config := load(t, nil)
	config.Proxy.Endpoints = endpointsNamed(1)
	_, err := shareDescriptors(200, config)
	require.EqualError(t, err, "the limit of open files (RLIMIT_NOFILE) is 200 and must be 232 at least; raise it, "+
		"or lower worker.count")
	_, err = shareDescriptors(232, config)
	require.NoError(t, err)
	for _, queue := range configs.QueueTypes() {
		config.Queue.Type = queue
		_, err := shareDescriptors(256, config)
		require.NoErrorf(t, err, "256 are enough for %s", queue)
	}
}

func endpointsNamed(n int) map[string]configs.Endpoint {
	endpoints := make(map[string]configs.Endpoint, n)
	for i := range n {
		endpoints[fmt.Sprint(i)] = configs.Endpoint{}
	}
	return endpoints
}
