package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/tests/testkit"
)

// installer makes installations whose processes have one role each, and share a broker with those of other roles.
type installer func(t *testing.T, role, config string, variables ...string) *testkit.Gateway

// site is where installations share a queue of a carrier, in the broker of all tests, and a Redis of their own.
type site struct {
	testkit.Broker
	testkit.Carrier

	queue testkit.Queue
	redis *testkit.Redis
}

// onEachCarrier runs a test on each broker that only carries messages.
func onEachCarrier(t *testing.T, test func(*testing.T, site)) {
	t.Helper()
	for _, carrier := range testkit.Carriers() {
		t.Run(carrier.Name, func(t *testing.T) {
			t.Parallel()
			broker := carrier.Shared(t)
			test(t, site{broker, carrier, carrier.NewQueue(broker), testkit.StartRedis(t)})
		})
	}
}

// onEachBroker runs a test on each broker that processes can share.
func onEachBroker(t *testing.T, test func(*testing.T, installer)) {
	t.Helper()
	onEachCarrier(t, func(t *testing.T, s site) {
		t.Helper()
		test(t, s.install)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := testkit.StartRedis(t)
		test(t, func(t *testing.T, role, config string, variables ...string) *testkit.Gateway {
			t.Helper()
			return onRedis(t, server, role, config, variables...)
		})
	})
}

func (s *site) install(t *testing.T, role, config string, variables ...string) *testkit.Gateway {
	t.Helper()
	return onCarrier(t, s.queue, s.redis, role, config, variables...)
}

// onCarrier makes an installation whose processes have one role, on a queue of a carrier with the records in Redis.
func onCarrier(
	t *testing.T, queue testkit.Queue, redis *testkit.Redis, role, config string, variables ...string,
) *testkit.Gateway {
	t.Helper()
	return onRedis(t, redis, role, config, slices.Concat(queue.Variables(), variables)...)
}

func TestWhatACarrierHoldsIsCountedAndTheUrgentGoesFirst(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, countedAndUrgentFirst)
}

func countedAndUrgentFirst(t *testing.T, s site) {
	t.Helper()
	const each = 40
	backend := testkit.NewBackend(t, testkit.Delay(10*time.Millisecond, testkit.Echo()))
	config := testkit.OneBackend(backend.URL) + "worker: {count: 1}\n"
	client := s.install(t, "api", config).Start().Client()
	for _, priority := range []int{0, 9} {
		for range each {
			client.Submit(fmt.Sprintf(`{"payload": %d, "metadata": {"priority": %d}}`, priority, priority))
		}
	}
	client.RequireDepth(testkit.Depth{Ready: 2 * each})
	metrics := client.Metrics()
	require.InDelta(t, 1, metrics["openhqm_queue_depth_approximate"], 0)
	require.Positive(t, metrics["openhqm_queue_oldest_age_seconds"])

	s.install(t, "worker", config).Start()

	calls := backend.Await(2 * each)
	lastUrgent := 0
	for n, call := range calls {
		if string(call.Body) == "9" {
			lastUrgent = n
		}
	}
	require.Less(t, lastUrgent, 3*each/2, "one in eight is not urgent, and so may be what was read first")
	client.RequireDepth(testkit.Depth{})
}

func TestBodiesOfAnySizeTravelWithACarrier(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, bodiesOfAnySize)
}

func bodiesOfAnySize(t *testing.T, s site) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	config := testkit.OneBackend(backend.URL)
	api := s.install(t, "api", config).Start()
	workers := s.install(t, "worker", config)
	first, second := workers.Start(), workers.Start()
	uploads, ctx := errgroup.WithContext(t.Context())
	for i, size := range []int{1, 256 << 10, 256<<10 + 1, 1 << 20, 10 << 20} {
		uploads.Go(func() error { return upload(ctx, api.Client(), byte(i), size) })
	}
	require.NoError(t, uploads.Wait())
	api.Client().RequireDepth(testkit.Depth{})
	endWell(t, api, first, second)
}

func TestAStartWaitsForACarrierUntilItsTimeIsOver(t *testing.T) {
	t.Parallel()
	silent := testkit.NewPort(t)
	listener := silent.Listen()
	t.Cleanup(func() { _ = listener.Close() }) // nobody was accepted
	tests := []struct {
		name, address, want string
	}{
		{"nobody is there", testkit.NewPort(t).Address, "connection refused"},
		{"nobody answers", silent.Address, silent.Address},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onEachCarrier(t, func(t *testing.T, s site) {
				t.Helper()
				elsewhere := onCarrier(t, s.queue.At(tt.address), s.redis, "all", "", "OPENHQM_START_TIMEOUT=1s")
				requireStartFails(t, elsewhere, "start_timeout is over", tt.want, tt.address)
			})
		})
	}
}

func TestAnotherQueueTypeIsRefusedWhileACarrierHasWork(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, anotherQueueType)
}

func anotherQueueType(t *testing.T, s site) {
	t.Helper()
	const some = 5
	backend := testkit.NewBackend(t, testkit.Echo())
	config := testkit.OneBackend(backend.URL)
	api := s.install(t, "api", config).Start()
	ids := make([]string, some)
	for i := range ids {
		ids[i] = api.Client().Submit(`{"payload": 1}`).CorrelationID
	}
	endWell(t, api)
	onRedisAlone := onRedis(t, s.redis, "all", config, "OPENHQM_QUEUE_REQUESTS="+s.queue.Name)

	output := onRedisAlone.RunSoon(10 * time.Second)
	require.Equal(t, exitUsage, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, "queue.type is redis, but "+s.Name+" still carries 5 unfinished requests; "+
		"stop all processes and run openhqm move --from OLD.yaml --to NEW.yaml, or run with queue.type "+s.Name+
		" until none is left")

	drains := s.install(t, "all", config).Start()
	for _, id := range ids {
		require.Equal(t, "COMPLETED", drains.Client().Result(id).Status)
	}
	endWell(t, drains)
	client := onRedisAlone.Start().Client()
	require.Equal(t, "COMPLETED", client.Result(client.Submit(`{"payload": 1}`).CorrelationID).Status)
	require.Equal(t, "COMPLETED", client.Result(ids[0]).Status, "the records are the same")
}

// requireStartFails runs a process that cannot use its broker, and checks that it says why, soon and once.
func requireStartFails(t *testing.T, gateway *testkit.Gateway, want ...string) {
	t.Helper()
	output := gateway.RunSoon(10 * time.Second)

	require.Equal(t, exitFailed, output.Code, output.Stderr)
	require.Equal(t, 1, strings.Count(output.Stderr, `"level":"ERROR"`), output.Stderr)
	for _, text := range want {
		require.Contains(t, output.Stderr, text)
	}
	require.NotContains(t, output.Stderr, "secret")
}
