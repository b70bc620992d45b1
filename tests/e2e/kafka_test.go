package e2e_test

import (
	"net/http"
	"strings"
	"testing"

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
