package e2e_test

import (
	"fmt"
	"net/http"
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

// brokers are those that processes can share.
var brokers = map[string]func(*testing.T) installer{
	"redis": func(t *testing.T) installer {
		t.Helper()
		server := testkit.StartRedis(t)
		return func(t *testing.T, role, config string, variables ...string) *testkit.Gateway {
			t.Helper()
			return onRedis(t, server, role, config, variables...)
		}
	},
	"kafka": func(t *testing.T) installer {
		t.Helper()
		return onKafka(t, testkit.SharedKafka(t).NewQueue())
	},
}

// onEachBroker runs a test on each.
func onEachBroker(t *testing.T, test func(*testing.T, installer)) {
	t.Helper()
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

// onKafka installs on a queue of Kafka, with the records in a Redis of its own.
func onKafka(t *testing.T, queue testkit.KafkaQueue) installer {
	t.Helper()
	server := testkit.StartRedis(t)
	return func(t *testing.T, role, config string, variables ...string) *testkit.Gateway {
		t.Helper()
		return onRedis(t, server, role, config, slices.Concat(queue.Variables(), variables)...)
	}
}

func TestWhatWaitsInKafkaIsCountedAndTheUrgentGoesFirst(t *testing.T) {
	t.Parallel()
	const each = 40
	backend := testkit.NewBackend(t, testkit.Delay(10*time.Millisecond, testkit.Echo()))
	install := onKafka(t, testkit.SharedKafka(t).NewQueue())
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

func TestBodiesOfAnySizeTravelWithKafka(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	install := onKafka(t, testkit.SharedKafka(t).NewQueue())
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

func TestRecordsOfOthersInKafkaAreForwarded(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	kafka := testkit.SharedKafka(t)
	queue := kafka.NewQueue()
	install := onKafka(t, queue)
	config := testkit.OneBackend(backend.URL)
	client := install(t, "api", config).Start().Client()
	install(t, "worker", config).Start()

	kafka.Produce(t, queue.Topic,
		testkit.KafkaRecord{Key: "order-17", Value: `{"correlation_id": "order-17", "payload": {"n":  1e400}, ` +
			`"headers": {"X-One": "1"}, "timestamp": "2026-11-23T15:24:51.651999", "metadata": {}}`},
		testkit.KafkaRecord{Key: "whatever", Value: `{"correlation_id": "twice", "payload": 2}`},
		testkit.KafkaRecord{Key: "another", Value: `{"correlation_id": "twice", "payload": 2}`},
		testkit.KafkaRecord{Value: `{"payload": "who am I"}`},
		testkit.KafkaRecord{Value: "this is not JSON"},
		testkit.KafkaRecord{Key: "rude", Value: `{"correlation_id": "rude", "payload": 1, "metadata": {"priority": 99}}`},
	)
	kafka.Produce(t, queue.Topic+".high", testkit.KafkaRecord{Value: `{"correlation_id": "urgent", "payload": 3}`})

	calls := make(map[string]*testkit.Call)
	for _, call := range backend.Await(4) {
		calls[string(call.Body)] = call
	}
	require.Equal(t, "order-17", calls[`{"n":  1e400}`].ID)
	require.Equal(t, "1", calls[`{"n":  1e400}`].Header.Get("X-One"))
	require.Equal(t, "twice", calls["2"].ID)
	require.Equal(t, "urgent", calls["3"].ID)
	require.Regexp(t, "^message-"+queue.Topic+`-\d+-\d+$`, calls[`"who am I"`].ID, "it is made from the record's place")
	for payload, call := range calls {
		require.Equal(t, payload, string(client.Result(call.ID).Result))
	}
	client.RequireDepth(testkit.Depth{})
	require.Len(t, backend.Calls(), 4)
	letters := string(client.Get("/api/v1/dead-letters?reason=undecodable").Body)
	require.Equal(t, 2, strings.Count(letters, `"correlation_id":"message-`+queue.Topic), letters)
}

func TestConsumersOfOthersReadTheRequestsInKafka(t *testing.T) {
	t.Parallel()
	kafka := testkit.SharedKafka(t)
	queue := kafka.NewQueue()
	client := onKafka(t, queue)(t, "api", testkit.OneBackend("http://shop.internal")).Start().Client()
	id := client.Submit(`{"payload": {"n":  1e400}, "headers": {"X-One": "1"}, "metadata": {"path": "/a"}}`).CorrelationID

	record := kafka.Consume(t, queue.Topic, 1)[0]

	require.Equal(t, id, record.Key)
	request := decode[wireRequest](t, record.Value)
	require.Equal(t, id, request.ID)
	require.Equal(t, `{"n":  1e400}`, string(request.Payload))
	require.Equal(t, "1", request.Headers["X-One"])
	require.Equal(t, "/a", request.Metadata.Path)
	require.Equal(t, http.StatusOK, cancel(t, client, id).Code)
}
