package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/tests/testkit"
)

// dials counts the connections that a listener accepts.
type dials struct {
	net.Listener

	n atomic.Int64
}

func (d *dials) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err == nil {
		d.n.Add(1)
	}
	return conn, err
}

// TestAReloadFailsNoRequest changes a configuration back and forth while requests run: endpoints come and go, and get
// other addresses, headers and limits. None of the requests fails, each is called once, and the endpoint that stays the
// same keeps its connection.
func TestAReloadFailsNoRequest(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	counted := &dials{Listener: listener}
	steady := testkit.NewBackendAt(t, counted, testkit.Echo())
	moving := []*testkit.Backend{testkit.NewBackend(t, testkit.Echo()), testkit.NewBackend(t, testkit.Echo())}
	config := func(n int) string {
		text := fmt.Sprintf(`
worker: {count: %d}
retry: {max_attempts: 1}
proxy:
  endpoints:
    steady: {url: %q, max_in_flight: 1}
    moving: {url: %q, headers: {X-Nr: "%d"}, max_in_flight: %d, rate_limit: {rps: %d}}
`, 2+n%7, steady.URL, moving[n%2].URL, n, 1+n%3, 1000*(n%2))
		if n%2 == 1 {
			text += fmt.Sprintf("    passing: {url: %q}\n", steady.URL)
		}
		return text
	}
	gateway := testkit.NewGateway(t, config(0))
	process := gateway.Start()
	var stop atomic.Bool
	var clients errgroup.Group
	ids := make([][]string, 2)
	for i, endpoint := range []string{"steady", "moving"} {
		clients.Go(func() error {
			for n := 0; !stop.Load(); n++ {
				document := fmt.Sprintf(`{"payload": %d, "metadata": {"endpoint": %q}}`, n, endpoint)
				receipt, err := process.Client().TrySubmit(t.Context(), document, nil)
				if err != nil {
					return err
				}
				ids[i] = append(ids[i], receipt.CorrelationID)
			}
			return nil
		})
	}
	for n := 1; n <= 20; n++ {
		gateway.Configure(config(n))
		line := process.Reload()
		require.Equal(t, "INFO", line["level"], line)
		require.Contains(t, line["changed"], "proxy.endpoints.moving.url")
		require.NotContains(t, line["changed"], "steady")
	}
	stop.Store(true)
	require.NoError(t, clients.Wait())
	require.NotEmpty(t, ids[0])
	require.NotEmpty(t, ids[1])
	for _, id := range slices.Concat(ids...) {
		result := process.Client().Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, 1, len(steady.CallsOf(id))+len(moving[0].CallsOf(id))+len(moving[1].CallsOf(id)))
	}
	require.Equal(t, int64(1), counted.n.Load(), "connections to the endpoint that stays")
	require.NotEmpty(t, moving[0].Calls())
	require.NotEmpty(t, moving[1].Calls())
}

func TestACallThatRunsEndsWithTheEndpointAsItWas(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	other := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL))
	process := gateway.Start()
	client := process.Client()
	running := client.Submit(`{"payload": 1}`).CorrelationID
	backend.Await(1)

	gateway.Configure(fmt.Sprintf("proxy: {endpoints: {other: {url: %q}}}\n", other.URL))
	line := process.Reload()
	require.Equal(t, "proxy.default_endpoint, proxy.endpoints.backend (removed), proxy.endpoints.other (added)",
		line["changed"])
	require.Equal(t, "PROCESSING", client.Status(running).Status)
	client.Post(`{"payload": 1, "metadata": {"endpoint": "backend"}}`, nil).Problem(t, http.StatusNotFound)
	client.Post(`{"payload": 1}`, nil).Problem(t, http.StatusBadRequest)
	added := client.Submit(`{"payload": 1, "metadata": {"endpoint": "other"}}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(added).Status)

	close(release)
	require.Equal(t, "COMPLETED", client.Result(running).Status)
	require.Len(t, backend.CallsOf(running), 1)
	require.NotContains(t, client.Metrics(), `openhqm_worker_in_flight{endpoint="backend"}`)
	require.Contains(t, client.Metrics(), `openhqm_worker_in_flight{endpoint="other"}`)
}

// TestWhatWaitsForARemovedEndpointWaits holds that it is called when the endpoint comes back, also at another address.
func TestWhatWaitsForARemovedEndpointWaits(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	const config = "proxy: {endpoints: {other: {url: %[1]q}, slow: {url: %[1]q, rate_limit: {rps: 0.001, burst: 1}}}}\n"
	gateway := testkit.NewGateway(t, fmt.Sprintf(config, backend.URL))
	process := gateway.Start()
	client := process.Client()
	document := `{"payload": 1, "metadata": {"endpoint": "slow"}}`
	first, second := client.Submit(document).CorrelationID, client.Submit(document).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(first).Status)

	gateway.Configure(fmt.Sprintf("proxy: {endpoints: {other: {url: %q}}}\n", backend.URL))
	process.Reload()
	require.Equal(t, "PENDING", client.Status(second).Status)
	gateway.Configure(fmt.Sprintf(config, testkit.NewBackend(t, testkit.Echo()).URL))
	process.Reload()
	gateway.Configure(strings.ReplaceAll(fmt.Sprintf(config, backend.URL), "rps: 0.001", "rps: 1000"))
	process.Reload()
	require.Equal(t, "COMPLETED", client.Result(second).Status)
}

// TestAnEndpointComesToOneProcessAfterTheOther has an api know it first: what it accepts waits for the worker.
func TestAnEndpointComesToOneProcessAfterTheOther(t *testing.T) {
	t.Parallel()
	onEachBroker(t, endpointComesToOneAfterTheOther)
}

func endpointComesToOneAfterTheOther(t *testing.T, install installer) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	const before = "proxy: {endpoints: {a: {url: %[1]q}}}\n"
	const after = "proxy: {endpoints: {a: {url: %[1]q}, b: {url: %[1]q}}}\n"
	apis := install(t, "api", fmt.Sprintf(before, backend.URL))
	workers := install(t, "worker", fmt.Sprintf(before, backend.URL))
	api, worker := apis.Start(), workers.Start()
	client := api.Client()
	document := func(endpoint string) string {
		return fmt.Sprintf(`{"payload": 1, "metadata": {"endpoint": %q}}`, endpoint)
	}
	require.Equal(t, "COMPLETED", client.Result(client.Submit(document("a")).CorrelationID).Status)

	apis.Configure(fmt.Sprintf(after, backend.URL))
	require.Equal(t, "proxy.endpoints.a.max_in_flight, proxy.endpoints.b (added)", api.Reload()["changed"])
	waits := client.Submit(document("b")).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(client.Submit(document("a")).CorrelationID).Status)
	require.Equal(t, "PENDING", client.Status(waits).Status)
	workers.Configure(fmt.Sprintf(after, backend.URL))
	worker.Reload()
	result := client.Result(waits)
	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, 1, result.Attempts)
}

// TestTheEchoGivesWayToEndpoints is what somebody does first who tries the gateway out.
func TestTheEchoGivesWayToEndpoints(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Respond(http.StatusOK, "application/json", `"backend"`))
	gateway := testkit.NewGateway(t, "")
	process := gateway.Start()
	client := process.Client()
	answered := func() string {
		return string(client.Result(client.Submit(`{"payload": 1}`).CorrelationID).Result)
	}
	require.Contains(t, answered(), `"body":1`)
	gateway.Configure(testkit.OneBackend(backend.URL))
	process.Reload()
	require.JSONEq(t, `"backend"`, answered())
	gateway.Configure("log: {level: info}\n")
	process.Reload()
	require.Contains(t, answered(), `"body":1`)
}

func TestAReloadChangesWhoMayDoHowMuch(t *testing.T) {
	t.Parallel()
	config := func(key, limit string) string {
		return fmt.Sprintf("server: {api_keys: [{name: shop, sha256: %x}], rate_limit: {%s}}\n",
			sha256.Sum256([]byte(key)), limit)
	}
	gateway := testkit.NewGateway(t, config("old", ""))
	process := gateway.Start()
	client := process.Client()
	status := func(key string) int {
		return client.Post(`{"payload": 1}`, http.Header{"X-Openhqm-Key": {key}}).Code
	}
	require.Equal(t, http.StatusAccepted, status("old"))

	gateway.Configure(config("new", ""))
	require.Equal(t, "server.api_keys", process.Reload()["changed"])
	require.Equal(t, http.StatusUnauthorized, status("old"))
	require.Equal(t, http.StatusAccepted, status("new"))

	gateway.Configure(config("new", "rps: 0.001, burst: 1"))
	require.Equal(t, "server.rate_limit.burst, server.rate_limit.rps", process.Reload()["changed"])
	require.Equal(t, http.StatusAccepted, status("new"))
	require.Equal(t, http.StatusTooManyRequests, status("new"))
	process.Reload()
	require.Equal(t, http.StatusTooManyRequests, status("new"), "what is left of a limit that stays is kept")

	gateway.Configure("log: {level: info}\n")
	require.Contains(t, process.Reload()["error"], "server.api_keys", "no reload opens the server to everybody")
	require.Equal(t, http.StatusUnauthorized, status("old"))
}

// TestAReloadWithAFaultChangesNothing holds that one line names every fault, also those of secrets, and no value.
func TestAReloadWithAFaultChangesNothing(t *testing.T) {
	t.Parallel()
	backend, other := testkit.NewBackend(t, testkit.Echo()), testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL))
	process := gateway.Start()
	client := process.Client()
	const successful = "openhqm_config_last_reload_successful"
	const timestamp = "openhqm_config_last_reload_success_timestamp_seconds"
	before := client.Metrics()
	require.InDelta(t, 1, before[successful], 0)
	require.InDelta(t, float64(time.Now().Unix()), before[timestamp], 600)

	for _, broken := range []struct {
		config string
		names  []string
	}{
		{"log: {level: loud}\nworker: {count: 0}\n", []string{"openhqm.yaml:1: log.level", "worker.count"}},
		{
			fmt.Sprintf("log: {level: debug}\nproxy: {endpoints: {a: {url: %q, auth: {type: bearer, token: file:gone}}, "+
				"b: {url: %q, headers: {X-A: file:lost}}}}\n", other.URL, other.URL),
			[]string{"proxy.endpoints.a.auth.token", "proxy.endpoints.b.headers.X-A"},
		},
		{"proxy: {endpoints: {a: {headers: {X-A: \"s3cret\\n\"}}}}", []string{"headers.X-A", "proxy.endpoints.a.url"}},
		{"proxy: {endpoints", []string{"openhqm.yaml"}},
		{"", []string{"openhqm.yaml is empty"}},
	} {
		gateway.Configure(broken.config)
		line := process.Reload()
		require.Equal(t, "ERROR", line["level"])
		for _, name := range broken.names {
			require.Contains(t, line["error"], name)
		}
		require.NotContains(t, line["error"], "s3cret")
		require.Zero(t, client.Metrics()[successful])
		require.InDelta(t, before[timestamp], client.Metrics()[timestamp], 0)
		require.Equal(t, "COMPLETED", client.Result(client.Submit(`{"payload": 1}`).CorrelationID).Status)
	}
	require.Empty(t, other.Calls())
	require.NotContains(t, process.Log.Text(), `"level":"DEBUG"`)

	gateway.Configure(testkit.OneBackend(backend.URL))
	process.Reload()
	require.InDelta(t, 1, client.Metrics()[successful], 0)
	require.Greater(t, client.Metrics()[timestamp], before[timestamp])
}

// TestTheRestOfAReloadTakesEffect has keys that need a restart among others.
func TestTheRestOfAReloadTakesEffect(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	process := gateway.Start()
	gateway.Configure(
		"log: {level: debug}\nserver: {max_body_size: 1MiB, read_timeout: 9s}\nembedded: {dir: other}\n")
	for range 2 { // the second time, too, although nothing has changed since
		process.Reload()
	}
	require.Equal(t, "log.level", process.AwaitLog("SIGHUP: read the configuration again")["changed"])
	const restart = "SIGHUP: the change of some keys needs a restart; they stay as they were"
	line := process.AwaitLog(restart)
	require.Equal(t, "embedded.dir, server.max_body_size, server.read_timeout", line["keys"])
	require.Equal(t, "WARN", line["level"])
	testkit.Until(t, "it is said again", func() bool { return strings.Count(process.Log.Text(), restart) == 2 })
}

// TestTheEndpointOfTheTransparentAddressStays has it replaced by another one, which needs a restart.
func TestTheEndpointOfTheTransparentAddressStays(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	config := func(endpoint string) string {
		return fmt.Sprintf("proxy: {transparent: {listen: '127.0.0.1:0', endpoint: %[1]s}, "+
			"endpoints: {%[1]s: {url: %[2]q}}}\n", endpoint, backend.URL)
	}
	gateway := testkit.NewGateway(t, config("a"))
	process := gateway.Start()
	gateway.Configure(config("b"))
	line := process.Reload()
	require.Equal(t, "ERROR", line["level"])
	require.Contains(t, line["error"], "openhqm.yaml:1: proxy.transparent.endpoint: is still a until a restart")
	document := `{"payload": 1, "metadata": {"endpoint": "a"}}`
	require.Equal(t, "COMPLETED", process.Client().Result(process.Client().Submit(document).CorrelationID).Status)
}

func TestAReloadWarnsAsAStartDoes(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	process := gateway.Start()
	address, _ := process.AwaitLog("listening")["address"].(string)
	gateway.Configure(testkit.OneBackend("http://" + address))
	process.Reload()
	require.Contains(t, process.AwaitLog("an endpoint leads back here")["warning"], `"backend"`)
}

// TestSecretsAreReadAgainByAReload replaces a file and reloads at once: nobody waits until the change of the file is
// noticed. The value stays when the file changes again.
func TestSecretsAreReadAgainByAReload(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	config := fmt.Sprintf("proxy: {default_endpoint: a, endpoints: {a: {url: %q, headers: {X-A: \"file:secret\"}}}}\n",
		backend.URL)
	gateway := testkit.NewGateway(t, config)
	vault{t, gateway.Dir}.put("secret", "first")
	process := gateway.Start()
	client := process.Client()
	sent := func() string {
		id := client.Submit(`{"payload": 1}`).CorrelationID
		require.Equal(t, "COMPLETED", client.Result(id).Status)
		return backend.CallsOf(id)[0].Header.Get("X-A")
	}
	require.Equal(t, "first", sent())
	vault{t, gateway.Dir}.put("secret", "second")
	process.Reload()
	require.Equal(t, "second", sent())
	vault{t, gateway.Dir}.put("secret", "third")
	testkit.Until(t, "the file that changed again is in use", func() bool { return sent() == "third" })
}

// TestWorkersGetMoreAndFewerSlots counts the calls that run at once.
func TestWorkersGetMoreAndFewerSlots(t *testing.T) {
	t.Parallel()
	leave := make(chan struct{})
	var now atomic.Int64
	var mu sync.Mutex
	var most int64 // at once
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		n := now.Add(1)
		mu.Lock()
		most = max(most, n)
		mu.Unlock()
		<-leave
		now.Add(-1)
		testkit.Echo()(w, r, call)
	})
	config := func(count int) string {
		return fmt.Sprintf("worker: {count: %d}\n", count) + testkit.OneBackend(backend.URL)
	}
	gateway := testkit.NewGateway(t, config(2))
	process := gateway.Start()
	client := process.Client()
	var ids []string
	for n := range 20 {
		ids = append(ids, client.Submit(fmt.Sprintf(`{"payload": %d}`, n)).CorrelationID)
	}
	backend.Await(2)
	gateway.Configure(config(9))
	require.Equal(t, "proxy.endpoints.backend.max_in_flight, worker.count", process.Reload()["changed"])
	backend.Await(9)
	gateway.Configure(config(3))
	process.Reload()
	for range 9 {
		leave <- struct{}{}
	}
	mu.Lock()
	withMore := most
	most = 0
	mu.Unlock()
	require.EqualValues(t, 9, withMore)
	backend.Await(12)
	testkit.Until(t, "three run", func() bool { return now.Load() == 3 })
	close(leave)
	for _, id := range ids {
		require.Equal(t, "COMPLETED", client.Result(id).Status)
	}
	require.LessOrEqual(t, most, int64(3))
}
