package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

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

func TestConsumersOfOthersReadTheResultsInKafka(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		reply := testkit.With("X-Order", "17", testkit.Respond(http.StatusCreated, "application/json", `{"n":  1e400}`))
		if call.ID == "sad" {
			reply = testkit.Respond(http.StatusInternalServerError, "text/plain", "no tea")
		}
		reply(w, r, call)
	})
	kafka := testkit.SharedKafka(t)
	queue := kafka.NewQueue()
	config, told := testkit.OneBackend(backend.URL)+"retry: {max_attempts: 1}\n", queue.Topic+"-told"
	onKafka(t, queue)(t, "worker", config, "OPENHQM_QUEUE_RESPONSES="+told).Start()
	began := time.Now().Truncate(time.Millisecond)

	kafka.Produce(t, queue.Topic,
		testkit.KafkaRecord{Value: `{"correlation_id": "glad", "payload": 1}`},
		testkit.KafkaRecord{Value: `{"correlation_id": "sad", "payload": 2}`},
	)

	results := make(map[string]map[string]json.RawMessage) // by key
	for _, record := range kafka.Consume(t, told, 2) {
		results[record.Key] = decode[map[string]json.RawMessage](t, record.Value)
	}
	requireMembers(t, results["glad"], began, map[string]string{
		"correlation_id": `"glad"`, "status": `"COMPLETED"`, "status_code": "201", "result": `{"n":  1e400}`,
	}, map[string]string{"Content-Type": "application/json", "Content-Length": "13", "X-Order": "17"})
	requireMembers(t, results["sad"], began, map[string]string{
		"correlation_id": `"sad"`, "status": `"FAILED"`, "status_code": "500", "result": `"no tea"`,
		"error": `"the backend answered 500 Internal Server Error"`,
	}, map[string]string{"Content-Type": "text/plain", "Content-Length": "6"})
}

// requireMembers holds a result to all the members that it must have, and to no others: these as they stand, these
// headers and a Date, and when it was made and how long that took.
func requireMembers(
	t *testing.T, result map[string]json.RawMessage, began time.Time, want, headers map[string]string,
) {
	t.Helper()
	got := make(map[string]string)
	for name, value := range result {
		got[name] = string(value)
	}
	told := decode[map[string]string](t, got["headers"])
	require.Contains(t, told, "Date")
	delete(told, "Date")
	require.Equal(t, headers, told)
	require.GreaterOrEqual(t, decode[int64](t, got["processing_time_ms"]), int64(0))
	require.WithinRange(t, decode[time.Time](t, got["timestamp"]), began, time.Now())
	for _, name := range []string{"headers", "processing_time_ms", "timestamp"} {
		delete(got, name)
	}
	require.Equal(t, want, got)
}
