package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/tests/testkit"
)

// installer makes installations whose processes have one role each, and share a broker with those of other roles.
type installer func(t *testing.T, role, config string, variables ...string) *testkit.Gateway

// carriers are the brokers that only carry messages: the records are in Redis.
var carriers = map[string]func(*testing.T) installer{
	"kafka": func(t *testing.T) installer {
		t.Helper()
		return onKafka(t, testkit.SharedKafka(t).NewQueue())
	},
	"sqs": func(t *testing.T) installer {
		t.Helper()
		return onSQS(t, testkit.SharedSQS(t).NewQueue())
	},
}

// onEachCarrier runs a test on each.
func onEachCarrier(t *testing.T, test func(*testing.T, installer)) {
	t.Helper()
	for name, start := range carriers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

// onEachBroker runs a test on each broker that processes can share.
func onEachBroker(t *testing.T, test func(*testing.T, installer)) {
	t.Helper()
	onEachCarrier(t, test)
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := testkit.StartRedis(t)
		test(t, func(t *testing.T, role, config string, variables ...string) *testkit.Gateway {
			t.Helper()
			return onRedis(t, server, role, config, variables...)
		})
	})
}

// onKafka installs on a queue of Kafka, with the records in a Redis of its own.
func onKafka(t *testing.T, queue testkit.KafkaQueue) installer {
	t.Helper()
	return carriedBy(t, queue.Variables())
}

// onSQS installs on a queue of SQS, with the records in a Redis of its own.
func onSQS(t *testing.T, queue testkit.SQSQueue) installer {
	t.Helper()
	return carriedBy(t, queue.Variables())
}

func carriedBy(t *testing.T, carrier []string) installer {
	t.Helper()
	server := testkit.StartRedis(t)
	return func(t *testing.T, role, config string, variables ...string) *testkit.Gateway {
		t.Helper()
		return onRedis(t, server, role, config, slices.Concat(carrier, variables)...)
	}
}

func TestWhatABrokerCarriesIsCountedAndTheUrgentGoesFirst(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, countedAndUrgentFirst)
}

func countedAndUrgentFirst(t *testing.T, install installer) {
	t.Helper()
	const each = 40
	backend := testkit.NewBackend(t, testkit.Delay(10*time.Millisecond, testkit.Echo()))
	config := testkit.OneBackend(backend.URL) + "worker: {count: 1}\n"
	client := install(t, "api", config).Start().Client()
	for _, priority := range []int{0, 9} {
		for range each {
			client.Submit(fmt.Sprintf(`{"payload": %d, "metadata": {"priority": %d}}`, priority, priority))
		}
	}
	client.RequireDepth(testkit.Depth{Ready: 2 * each})
	metrics := client.Metrics()
	require.InDelta(t, 1, metrics["openhqm_queue_depth_approximate"], 0)
	require.Positive(t, metrics["openhqm_queue_oldest_age_seconds"])

	install(t, "worker", config).Start()

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

func TestBodiesOfAnySizeTravelWithABroker(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, bodiesOfAnySize)
}

func bodiesOfAnySize(t *testing.T, install installer) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	config := testkit.OneBackend(backend.URL)
	api := install(t, "api", config).Start()
	workers := install(t, "worker", config)
	first, second := workers.Start(), workers.Start()
	uploads, ctx := errgroup.WithContext(t.Context())
	for i, size := range []int{1, 256 << 10, 256<<10 + 1, 1 << 20, 10 << 20} {
		uploads.Go(func() error { return upload(ctx, api.Client(), byte(i), size) })
	}
	require.NoError(t, uploads.Wait())
	api.Client().RequireDepth(testkit.Depth{})
	endWell(t, api, first, second)
}
