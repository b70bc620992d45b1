package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// dangling has faults of every kind that a start finds without the network.
const dangling = `
queue: {type: redis}
redis: {url: "http://user:s3cret@foo"}
worker: {count: 0}
server:
  tls: {cert_file: /none/cert.pem, key_file: openhqm.yaml, client_ca_file: openhqm.yaml}
  api_keys: [{name: a, sha256: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e700, endpoints: [b]}]
proxy:
  default_endpoint: nobody
  transparent: {listen: "127.0.0.1:8080", endpoint: none}
  endpoints:
    orders: {url: "ftp://orders.internal", auth: {type: bearer, token: "${X}"}}
    bills: {url: "http://bills", headers: {X-Key: "file:/none/key"}}
    carts: {url: "https://carts", tls: {ca_file: openhqm.yaml}}
`

func TestACheckAndAStartNameEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, dangling)
	for _, args := range [][]string{nil, {"config", "--check"}} {
		output := gateway.Run(args...)

		require.Equal(t, exitUsage, output.Code, output.Stderr)
		require.Empty(t, output.Stdout)
		wants := []string{
			"openhqm.yaml:3: redis.url: must be a URL that begins with redis:// or rediss://",
			`openhqm.yaml:4: worker.count: "0": must be 1 to 65536`,
			"openhqm.yaml:6: server.tls.cert_file: stat /none/cert.pem: no such file or directory",
			"openhqm.yaml:6: server.tls.client_ca_file: holds no certificate in PEM",
			`openhqm.yaml:7: server.api_keys.0.endpoints: "b": must be among the endpoints`,
			`openhqm.yaml:9: proxy.default_endpoint: "nobody": must be empty or one of the endpoints`,
			`openhqm.yaml:10: proxy.transparent.endpoint: "none": must be one of the endpoints`,
			`openhqm.yaml:12: proxy.endpoints.orders.url: "ftp://orders.internal": must be an absolute URL`,
			"openhqm.yaml:12: proxy.endpoints.orders.auth.token: needs variables that are not set: X",
			"openhqm.yaml:13: proxy.endpoints.bills.headers.X-Key: stat /none/key: no such file or directory",
			"openhqm.yaml:14: proxy.endpoints.carts.tls.ca_file: holds no certificate in PEM",
		}
		for _, want := range wants {
			require.Contains(t, output.Stderr, want)
		}
		require.Equal(t, len(wants), strings.Count(output.Stderr, "\n  "), output.Stderr)
		require.NotContains(t, output.Stderr, "s3cret")
		require.NoDirExists(t, filepath.Join(gateway.Dir, "data"), "nothing was begun")
	}
}

func TestACheckOfAGoodConfigurationTouchesNothing(t *testing.T) {
	t.Parallel()
	queues := []string{"embedded", "redis"}
	for _, carrier := range testkit.Carriers() {
		queues = append(queues, carrier.Name)
	}
	for _, queue := range queues {
		gateway := testkit.NewGateway(t, "redis: {url: redis://127.0.0.1:1}\n", // nobody listens there
			"OPENHQM_QUEUE_TYPE="+queue, "AWS_REGION=eu-west-1")

		output := gateway.Run("config", "--check")

		require.Zero(t, output.Code, output.Stderr)
		require.Empty(t, output.Stderr)
		require.Equal(t, "the configuration can be used\n", output.Stdout)
		require.NoDirExists(t, filepath.Join(gateway.Dir, "data"))
	}
}

func TestACheckLooksAtTheMachine(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "embedded: {dir: openhqm.yaml/data}\n", "GOMEMLIMIT=32MiB")
	gateway.OpenFiles = 100

	output := gateway.Run("config", "--check")

	require.Equal(t, exitUsage, output.Code)
	require.Contains(t, output.Stderr, "openhqm.yaml:1: embedded.dir: ")
	require.Contains(t, output.Stderr, "server.max_body_size: cannot work within the memory limit of ")
	require.Contains(t, output.Stderr, "the limit of open files (RLIMIT_NOFILE) is 100 and must be ")
}

// The environment is that of a compose file for the first OpenHQM.
func TestTheEnvironmentOfAnOldManifestRuns(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	url := testkit.StartRedis(t).URL()
	gateway := testkit.NewGateway(t, "",
		"OPENHQM_SERVER__WORKERS=4",
		"OPENHQM_QUEUE__TYPE=redis",
		"OPENHQM_QUEUE__REDIS_URL="+url,
		"OPENHQM_QUEUE__REQUEST_QUEUE_NAME=openhqm-old",
		"OPENHQM_CACHE__TYPE=redis",
		"OPENHQM_CACHE__REDIS_URL="+url,
		"OPENHQM_CACHE__TTL_SECONDS=3600",
		"OPENHQM_WORKER__BATCH_SIZE=10",
		"OPENHQM_WORKER__TIMEOUT_SECONDS=300",
		"OPENHQM_WORKER__MAX_RETRIES=3",
		"OPENHQM_PROXY__ENABLED=true",
		"OPENHQM_PROXY__DEFAULT_ENDPOINT="+backend.URL+"/default",
		`OPENHQM_PROXY__ENDPOINTS={"named": {"url": "`+backend.URL+`/named", "method": "PUT", "timeout": 30,
			"auth_type": "bearer", "auth_token": "s3cret"}}`,
		`OPENHQM_PROXY__FORWARD_HEADERS=["Content-Type", "Accept", "User-Agent", "Authorization"]`,
		"OPENHQM_MONITORING__LOG_LEVEL=INFO",
		"OPENHQM_MONITORING__METRICS_ENABLED=true",
	)
	process := gateway.Start()
	client := process.Client()

	id := client.Submit(`{"payload": {"a": 1}, "metadata": {"priority": "high"}}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	call := backend.CallsOf(id)[0]
	require.Equal(t, http.MethodPost, call.Method)
	require.Equal(t, "/default", call.Target)

	id = client.Submit(`{"payload": {"a": 1}, "metadata": {"endpoint": "named"}}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	call = backend.CallsOf(id)[0]
	require.Equal(t, http.MethodPut, call.Method)
	require.Equal(t, "/named", call.Target)
	require.Equal(t, "Bearer s3cret", call.Header.Get("Authorization"))

	log := process.Log.Text()
	require.NotContains(t, log, "s3cret")
	for _, name := range []string{
		"OPENHQM_SERVER__WORKERS", "OPENHQM_QUEUE__REDIS_URL", "OPENHQM_QUEUE__REQUEST_QUEUE_NAME", "OPENHQM_CACHE__TYPE",
		"OPENHQM_CACHE__REDIS_URL", "OPENHQM_CACHE__TTL_SECONDS", "OPENHQM_WORKER__BATCH_SIZE",
		"OPENHQM_WORKER__TIMEOUT_SECONDS", "OPENHQM_WORKER__MAX_RETRIES", "OPENHQM_PROXY__ENABLED",
		"OPENHQM_PROXY__DEFAULT_ENDPOINT", "OPENHQM_PROXY__ENDPOINTS: proxy.endpoints.named.timeout",
		"OPENHQM_PROXY__ENDPOINTS: proxy.endpoints.named.auth_type",
		"OPENHQM_PROXY__ENDPOINTS: proxy.endpoints.named.auth_token", "OPENHQM_MONITORING__LOG_LEVEL",
		"OPENHQM_MONITORING__METRICS_ENABLED",
	} {
		require.Equal(t, 1, strings.Count(log, `"source":"`+name+`"`), name)
	}
	require.Equal(t, 16, strings.Count(log, `"msg":"configuration"`))
}

func TestTheConfigurationInEffectOfWhatOtherToolsWrite(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, `
x-note: of another program
queue: {max_depth: 1e+06}
store: {ttl: 7d}
proxy: {endpoints: {my-api: {url: "http://old"}, other: {url: "http://other"}}}
`, "OPENHQM_WORKER_COUNT=", "OPENHQM_RETRY_ON_STATUS=", "OPENHQM_PROXY__ENDPOINTS__MY_API__URL=http://new",
		"OPENHQM_PROXY_ENDPOINTS_OTHER_TIMEOUT=7s")

	output := gateway.Run("config")

	require.Zero(t, output.Code, output.Stderr)
	require.Empty(t, output.Stderr)
	for _, want := range []string{
		"  max_depth: 1000000\n", "  ttl: 168h\n", "  count: 64\n", "  on_status: [408, 425, 429, 500, 502, 503, 504]\n",
		"    my-api:\n      url: http://new\n", "    other:\n      url: http://other\n", "      timeout: 7s\n",
	} {
		require.Contains(t, output.Stdout, want)
	}
	require.NotContains(t, output.Stdout, "my_api")
}

func TestADotenvFileIsLoggedAndMustBeTrusted(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	file := filepath.Join(gateway.Dir, ".env")
	require.NoError(t, os.WriteFile(file, []byte("OPENHQM_WORKER_COUNT=7\n"), 0o600))

	process := gateway.Start()
	require.Contains(t, process.Log.Text(), `"file":".env"`)
	require.Contains(t, process.Log.Text(), `"slots":7`)

	require.NoError(t, os.Chmod(file, 0o666))
	output := gateway.Run("config", "--check")
	require.Equal(t, exitUsage, output.Code)
	require.Contains(t, output.Stderr, ".env: cannot be read: others may write it")
}
