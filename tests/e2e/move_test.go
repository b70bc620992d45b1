package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/tests/testkit"
)

// fileOf writes the configuration of an installation to a file, as users do who have it in variables. The only secret
// in it is the URL of Redis.
func fileOf(t *testing.T, gateway *testkit.Gateway, server *testkit.Redis) (path string) {
	t.Helper()
	printed := gateway.Run("config")
	require.Zero(t, printed.Code, printed.Stderr)
	path = filepath.Join(t.TempDir(), "config.yaml")
	text := strings.ReplaceAll(printed.Stdout, "'***'", server.URL())
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, `"***"`, server.URL())), 0o600))
	return path
}

// workload is what an installation is filled with, by kind.
type workload struct {
	client *testkit.Client
	ids    map[string][]string
}

// submit submits n requests of a kind, each with an idempotency key.
func (w *workload) submit(t *testing.T, kind string, n int, metadata string) {
	t.Helper()
	ids := make([]string, n)
	var all errgroup.Group
	all.SetLimit(32)
	for i := range n {
		all.Go(func() error {
			receipt, err := w.client.TrySubmit(t.Context(), document(kind, i, metadata), keyOf(kind, i))
			ids[i] = receipt.CorrelationID
			return err
		})
	}
	require.NoError(t, all.Wait())
	if w.ids == nil {
		w.ids = make(map[string][]string)
	}
	w.ids[kind] = ids
}

func document(kind string, i int, metadata string) string {
	return fmt.Sprintf(`{"payload": {"kind": %q, "n": %d}, "metadata": {%s}}`, kind, i, metadata)
}

func keyOf(kind string, i int) http.Header {
	return http.Header{"Idempotency-Key": {kind + "-" + strconv.Itoa(i)}}
}

// requireMoved checks that all is there, and works, in a process that the queue was moved to.
func (w *workload) requireMoved(t *testing.T, client *testkit.Client, backend *testkit.Backend, held int) {
	t.Helper()
	for i, id := range w.ids["done"] {
		result := client.Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		require.JSONEq(t, fmt.Sprintf(`{"kind": "done", "n": %d}`, i), string(result.Result))
		require.Len(t, backend.CallsOf(id), 1)
		repeat := client.Post(document("done", i, ""), keyOf("done", i))
		require.Contains(t, string(repeat.Body), id, "the idempotency key has moved")
	}
	for _, id := range w.ids["dead"] {
		answer := client.Get("/api/v1/dead-letters/" + id)
		require.Equal(t, http.StatusOK, answer.Code)
		require.Contains(t, string(answer.Body), `"kind": "dead"`)
		require.Len(t, backend.CallsOf(id), 1)
	}
	for _, id := range w.ids["later"] {
		status := client.Status(id)
		require.Equal(t, "PENDING", status.Status)
		require.NotNil(t, status.NextAttemptAt)
	}
	twice := 0
	for i, id := range w.ids["waiting"] {
		result := client.Result(id)
		require.Equal(t, "COMPLETED", result.Status, id)
		require.JSONEq(t, fmt.Sprintf(`{"kind": "waiting", "n": %d}`, i), string(result.Result))
		twice += len(backend.CallsOf(id)) - 1
	}
	require.Equal(t, held, twice, "only what a worker was killed with is called twice")
	require.Equal(t, len(w.ids["later"]), int(client.Depth().Delayed))
}

// split is a backend with three endpoints: one that answers, one that refuses, and one that answers when it is told to.
func split(t *testing.T) (backend *testkit.Backend, config string, release func()) {
	t.Helper()
	open := make(chan struct{})
	echo, refuse, hold := testkit.Echo(), testkit.Refuse(500), testkit.Hold(open, testkit.Echo())
	backend = testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		switch strings.Trim(r.URL.Path, "/") {
		case "dead":
			refuse(w, r, call)
		case "waiting":
			hold(w, r, call)
		default:
			echo(w, r, call)
		}
	})
	config = fmt.Sprintf(`
proxy:
  default_endpoint: done
  endpoints:
    done: {url: %[1]q}
    dead: {url: %[1]q, retry: {max_attempts: 1}}
    waiting: {url: %[1]q, max_in_flight: 2}
retry: {base: 10ms}
`, backend.URL)
	return backend, config, func() { close(open) }
}

const (
	pathDead    = `"endpoint": "dead", "path": "/dead"`
	pathWaiting = `"endpoint": "waiting", "path": "/waiting"`
)

// TestAMoveFromEmbeddedToRedisGoesOnAfterAKill kills the process that moves in the middle.
func TestAMoveFromEmbeddedToRedisGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	backend, config, release := split(t)
	server := testkit.StartRedis(t)
	dir := filepath.Join(t.TempDir(), "data")
	old := testkit.NewGateway(t, config, "OPENHQM_EMBEDDED_DIR="+dir)
	fresh := onRedis(t, server, "all", config)
	from, to := fileOf(t, old, server), fileOf(t, fresh, server)

	process := old.Start()
	w := workload{client: process.Client()}
	w.submit(t, "done", 20, "")
	w.submit(t, "dead", 20, pathDead)
	for _, id := range append(w.ids["done"], w.ids["dead"]...) {
		w.client.Result(id)
	}
	w.submit(t, "later", 1500, `"delay": "1h", "labels": {"a": "b"}`)
	w.submit(t, "waiting", 200, pathWaiting)
	testkit.Until(t, "two requests are called", func() bool { return len(backend.Calls()) == 42 })
	running := old.Run("move", "--from", from, "--to", to)
	require.Equal(t, exitFailed, running.Code)
	require.Contains(t, running.Stderr, "in use by another process")
	process.Kill()

	planned := old.Run("move", "--from", from, "--to", to, "--dry-run")
	require.Zero(t, planned.Code, planned.Stderr)
	require.Contains(t, planned.Stdout, "would be moved: 200 ready and 1500 delayed requests, 40 finished ones, "+
		"20 dead letters, 1720 idempotency keys")
	require.Equal(t, "0", server.Run("DBSIZE"))

	moving := old.Launch("move", "--from", from, "--to", to)
	testkit.Until(t, "some are moved", func() bool {
		n, err := strconv.Atoi(server.Run("ZCARD", "{openhqm-requests}:deadlines"))
		require.NoError(t, err)
		return n > 100
	})
	moving.Kill()
	for _, gateway := range []*testkit.Gateway{old, fresh} {
		refused := gateway.Run()
		require.Equal(t, exitUsage, refused.Code, refused.Stderr)
		require.Contains(t, refused.Stderr, "run openhqm move again until it has ended")
	}

	again := old.Run("move", "--from", from, "--to", to)
	require.Zero(t, again.Code, again.Stderr)
	require.NotContains(t, again.Stdout, " 0 delayed requests", "it was killed in the middle")
	refused := old.Run()
	require.Equal(t, exitUsage, refused.Code, refused.Stderr)
	require.Contains(t, refused.Stderr, "has been moved to redis "+server.Address)

	release()
	w.requireMoved(t, fresh.Start().Client(), backend, 2)
}

// TestAMoveBetweenTwoRedisAndBack also has a queue of another name, and processes that still run.
func TestAMoveBetweenTwoRedisAndBack(t *testing.T) {
	t.Parallel()
	backend, config, release := split(t)
	first, second := testkit.StartRedis(t), testkit.StartRedis(t)
	old := onRedis(t, first, "all", config, "OPENHQM_REDIS_SHARDS=2", "OPENHQM_WORKER_DRAIN=0s")
	fresh := onRedis(t, second, "all", config, "OPENHQM_QUEUE_REQUESTS=elsewhere")
	from, to := fileOf(t, old, first), fileOf(t, fresh, second)
	process := old.Start()
	w := workload{client: process.Client()}
	w.submit(t, "done", 5, "")
	w.submit(t, "dead", 5, pathDead)
	for _, id := range append(w.ids["done"], w.ids["dead"]...) {
		w.client.Result(id)
	}
	w.submit(t, "later", 50, `"delay": "1h"`)
	running := old.Run("move", "--from", from, "--to", to)
	require.Equal(t, exitFailed, running.Code)
	require.Contains(t, running.Stderr, "1 processes run")
	w.submit(t, "waiting", 1, pathWaiting)
	backend.Await(11)
	endWell(t, process)

	for _, files := range [][2]string{{from, to}, {to, from}, {from, to}} {
		moved := old.Run("move", "--from", files[0], "--to", files[1])
		require.Zero(t, moved.Code, moved.Stderr)
		require.Contains(t, moved.Stdout, "moved: 1 ready and 50 delayed requests, 10 finished ones, 5 dead letters")
	}
	require.Equal(t, exitUsage, old.Run().Code)
	release()
	w.requireMoved(t, fresh.Start().Client(), backend, 1)
}

// TestAMoveToACarrierAndOffIt moves what is embedded to a carrier, and then all of that to the Redis beside it.
func TestAMoveToACarrierAndOffIt(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, moveToACarrierAndOffIt)
}

func moveToACarrierAndOffIt(t *testing.T, s site) {
	t.Helper()
	backend, config, release := split(t)
	dir := filepath.Join(t.TempDir(), "data")
	first := testkit.NewGateway(t, config, "OPENHQM_EMBEDDED_DIR="+dir)
	second := s.install(t, "api", config)
	third := onRedis(t, s.redis, "all", config, "OPENHQM_QUEUE_REQUESTS="+s.queue.Name)
	files := []string{fileOf(t, first, s.redis), fileOf(t, second, s.redis), fileOf(t, third, s.redis)}
	mover := testkit.NewGateway(t, "", s.queue.Variables()...) // an AWS client has its credentials from there
	process := first.Start()
	w := workload{client: process.Client()}
	w.submit(t, "done", 3, "")
	for _, id := range w.ids["done"] {
		w.client.Result(id)
	}
	w.submit(t, "later", 3, `"delay": "1h"`)
	w.submit(t, "waiting", 10, pathWaiting)
	testkit.Until(t, "two requests are called", func() bool { return len(backend.Calls()) == 5 })
	process.Kill()
	moved := mover.Run("move", "--from", files[0], "--to", files[1])
	require.Zero(t, moved.Code, moved.Stderr)

	api := second.Start()
	fresh := workload{client: api.Client()}
	fresh.submit(t, "new", 10, `"endpoint": "done"`)
	endWell(t, api)
	wrong := mover.Run("move", "--from", files[2], "--to", files[0])
	require.Equal(t, exitUsage, wrong.Code, wrong.Stderr)
	require.Contains(t, wrong.Stderr, s.Name+" still carries 10 unfinished requests")

	draining := mover.Launch("move", "--from", files[1], "--to", files[2])
	require.True(t, draining.Wait().Success(), draining.Log.Text())
	release()
	client := third.Start().Client()
	w.requireMoved(t, client, backend, 2)
	for _, id := range fresh.ids["new"] {
		require.Equal(t, "COMPLETED", client.Result(id).Status)
		require.Len(t, backend.CallsOf(id), 1)
	}
}

func TestAMoveFromACarrierTakesItsMessagesToo(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, moveFromACarrier)
}

func moveFromACarrier(t *testing.T, s site) {
	t.Helper()
	backend, config, release := split(t)
	release()
	target := testkit.StartRedis(t)
	lease := s.queue.Lease(3 * time.Second) // of messages that a killed process has
	old := s.install(t, "api", config, lease)
	fresh := onRedis(t, target, "all", config)
	from, to := fileOf(t, old, s.redis), fileOf(t, fresh, target)
	api := old.Start()
	w := workload{client: api.Client()}
	worker := s.install(t, "worker", config, lease).Start()
	w.submit(t, "done", 5, "")
	w.submit(t, "dead", 5, pathDead)
	for _, id := range append(w.ids["done"], w.ids["dead"]...) {
		w.client.Result(id)
	}
	endWell(t, worker)
	w.submit(t, "later", 10, `"delay": "1h"`)
	w.submit(t, "waiting", 300, pathWaiting)
	foreign := s.Send(t, s.queue.Name, testkit.Message{Key: "theirs", Value: `{"correlation_id": "theirs", "payload": 7}`})
	endWell(t, api)

	refused := onRedis(t, s.redis, "all", config, "OPENHQM_QUEUE_REQUESTS="+s.queue.Name).Run()
	require.Equal(t, exitUsage, refused.Code, refused.Stderr)
	require.Contains(t, refused.Stderr, "run openhqm move --from OLD.yaml --to NEW.yaml")

	moving := old.Launch("move", "--from", from, "--to", to)
	moving.AwaitLog("reading what the broker still has")
	testkit.Until(t, "some are read", func() bool {
		n, err := strconv.Atoi(s.redis.Run("ZCARD", "{"+s.queue.Name+"}:carried"))
		require.NoError(t, err)
		return n < 300
	})
	moving.Kill()
	env := s.queue.Variables() // an AWS client has its credentials from there
	mover := testkit.NewGateway(t, "", env...)
	again := mover.Launch("move", "--from", from, "--to", to)
	require.True(t, again.Wait().Success(), again.Log.Text())
	require.Equal(t, "311", target.Run("ZCARD", "{openhqm-requests}:deadlines"))
	gone := old.Run()
	require.Equal(t, exitUsage, gone.Code, gone.Stderr)
	require.Contains(t, gone.Stderr, "has been moved to redis "+target.Address)

	client := fresh.Start().Client()
	w.requireMoved(t, client, backend, 0)
	require.Equal(t, "COMPLETED", client.Result("theirs").Status)
	require.Len(t, backend.CallsOf("theirs"), 1)
	require.NotEmpty(t, foreign)
}
