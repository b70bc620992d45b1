package e2e_test

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAConfigurationOfRedisThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give []string // variables, besides OPENHQM_QUEUE_TYPE=redis
		want string
	}{
		{
			name: "records elsewhere", give: []string{"OPENHQM_STORE_TYPE=embedded"},
			want: `OPENHQM_STORE_TYPE: store.type: "embedded": must be auto or "redis" with queue.type "redis"`,
		},
		{
			name: "results of other programs in a worker", give: []string{"OPENHQM_ROLE=worker", "OPENHQM_QUEUE_RESULTS_IN=in"},
			want: `OPENHQM_QUEUE_RESULTS_IN: queue.results_in: "in": needs role "api"`,
		},
		{
			name: "results of other programs beside our own workers", give: []string{"OPENHQM_QUEUE_RESULTS_IN=in"},
			want: `OPENHQM_QUEUE_RESULTS_IN: queue.results_in: "in": needs role "api"`,
		},
		{
			name: "a circle", give: []string{
				"OPENHQM_ROLE=api", "OPENHQM_QUEUE_RESULTS_IN=both", "OPENHQM_QUEUE_RESPONSES=both",
			},
			want: `OPENHQM_QUEUE_RESULTS_IN: queue.results_in: "both": is also queue.responses; they must be different`,
		},
		{
			name: "no shard", give: []string{"OPENHQM_REDIS_SHARDS=0"},
			want: `OPENHQM_REDIS_SHARDS: redis.shards: "0": must be 1 to 256`,
		},
		{
			name: "two streams for other programs", give: []string{
				"OPENHQM_ROLE=api", "OPENHQM_QUEUE_RESULTS_IN=in", "OPENHQM_REDIS_SHARDS=2",
			},
			want: `OPENHQM_REDIS_SHARDS: redis.shards: "2": must be 1 with queue.results_in`,
		},
		{
			name: "another kind of server", give: []string{"OPENHQM_REDIS_URL=https://user:s3cret@127.0.0.1"},
			want: "OPENHQM_REDIS_URL: redis.url: must be a URL that begins with redis:// or rediss://",
		},
		{
			name: "authorities without TLS", give: []string{"OPENHQM_REDIS_TLS_CA_FILE=ca.pem"},
			want: "redis.url: must begin with rediss://, because redis.tls is set",
		},
		{
			name: "a password that is nowhere", give: []string{"OPENHQM_REDIS_URL=redis://:${NOWHERE}@127.0.0.1"},
			want: "OPENHQM_REDIS_URL: redis.url: needs variables that are not set: NOWHERE",
		},
		{
			name: "a worker of the embedded queue", give: []string{"OPENHQM_QUEUE_TYPE=embedded", "OPENHQM_ROLE=worker"},
			want: `OPENHQM_ROLE: role: "worker": must be "all"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gateway := testkit.NewGateway(t, "", append([]string{"OPENHQM_QUEUE_TYPE=redis"}, tt.give...)...)

			output := gateway.Run()

			require.Equal(t, exitUsage, output.Code, output.Stderr)
			require.Contains(t, output.Stderr, tt.want)
			require.Contains(t, output.Stderr, "1 fault\n")
			require.NotContains(t, output.Stderr, "s3cret")
		})
	}
}

// Another number would look for requests where they are not.
func TestAnotherNumberOfShardsIsRefused(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	client := onRedis(t, server, "all", "", "OPENHQM_REDIS_SHARDS=2").Start().Client()

	output := onRedis(t, server, "worker", "", "OPENHQM_REDIS_SHARDS=3").Run()

	require.Equal(t, exitFailed, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, "redis.shards")
	id := client.Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(id).Status, "the first process is not disturbed")
}

func TestThePasswordOfRedisIsNeverShown(t *testing.T) {
	t.Parallel()
	const password = "s3cret-b7f1"
	port := testkit.NewPort(t) // nobody is there
	config := `{queue: {type: redis}, redis: {url: "redis://ann:${PASSWORD}@` + port.Address + `/1"}}`
	gateway := testkit.NewGateway(t, config, "PASSWORD="+password, "OPENHQM_LOG_LEVEL=debug",
		"OPENHQM_START_TIMEOUT=500ms")

	printed := gateway.Run("config")
	require.Zero(t, printed.Code, printed.Stderr)
	require.Contains(t, printed.Stdout, "***")
	output := gateway.Run()

	require.Equal(t, exitFailed, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, port.Address, "who it is that is away")
	require.Contains(t, output.Stderr, "connection refused")
	for _, text := range []string{printed.Stdout, printed.Stderr, output.Stdout, output.Stderr} {
		require.NotContains(t, text, password)
	}
	require.NoDirExists(t, filepath.Join(gateway.Dir, "data"), "the embedded queue is not used")
}

func TestOneProcessDoesItAllOnRedisWithAPasswordAndTLS(t *testing.T) {
	t.Parallel()
	const password = "s3cret-40aa"
	certificate, key := testkit.SelfSigned(t)
	server := testkit.StartRedis(t,
		"--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	server.Run("ACL", "SETUSER", "ann", "on", ">"+password, "~*", "&*", "+@all")
	variables := []string{
		"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=rediss://ann:" + password + "@" + listenTLS(t, server),
	}

	stranger := testkit.NewGateway(t, "", variables...).Run()
	require.Equal(t, exitFailed, stranger.Code, stranger.Stderr)
	require.Contains(t, stranger.Stderr, "x509: certificate signed by unknown authority")
	require.NotContains(t, stranger.Stderr, password)

	variables = append(variables, "OPENHQM_REDIS_TLS_CA_FILE="+certificate)
	process := testkit.NewGateway(t, "", variables...).Start()
	client := process.Client()
	id := client.Submit(`{"payload": {"hello":  "world"}}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	require.ElementsMatch(t, []string{"http", "log", "queue", "store", "worker"}, components(t, client))
	require.NotContains(t, process.Log.Text(), password)
}

// listenTLS makes a Redis that has a certificate accept connections with TLS too.
func listenTLS(t *testing.T, server *testkit.Redis) (address string) {
	t.Helper()
	testkit.Until(t, "Redis accepts TLS", func() bool {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		address = listener.Addr().String()
		_, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		_, err = server.Do(t.Context(), "CONFIG", "SET", "tls-port", port)
		return err == nil // else somebody else has taken the port
	})
	return address
}
