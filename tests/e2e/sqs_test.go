package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestMessagesOfOthersInSQSAreForwarded(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	server := testkit.SharedSQS(t)
	queue := server.NewQueue()
	install := onSQS(t, queue)
	config := testkit.OneBackend(backend.URL) + "log: {level: debug}\n"
	api := install(t, "api", config).Start()
	workers := install(t, "worker", config)
	first, second := workers.Start(), workers.Start()
	client := api.Client()

	ids := server.Send(t, queue.Name,
		`{"correlation_id": "order-17", "payload": {"n":  1e400}, "headers": {"X-One": "1"}, `+
			`"timestamp": "2026-11-23T15:24:51.651999", "metadata": {}}`,
		`{"correlation_id": "twice", "payload": 2}`,
		`{"correlation_id": "twice", "payload": 2}`,
		`{"payload": "who am I"}`,
		"this is not JSON",
		`{"correlation_id": "rude", "payload": 1, "metadata": {"priority": 99}}`,
	)
	server.Send(t, queue.Name+"-high", `{"correlation_id": "urgent", "payload": 3}`)

	calls := make(map[string]*testkit.Call)
	for _, call := range backend.Await(4) {
		calls[string(call.Body)] = call
	}
	require.Equal(t, "order-17", calls[`{"n":  1e400}`].ID)
	require.Equal(t, "1", calls[`{"n":  1e400}`].Header.Get("X-One"))
	require.Equal(t, "twice", calls["2"].ID)
	require.Equal(t, "urgent", calls["3"].ID)
	require.Equal(t, "message-"+ids[3], calls[`"who am I"`].ID, "it is made from the id that SQS gave")
	for payload, call := range calls {
		require.Equal(t, payload, string(client.Result(call.ID).Result))
	}
	client.RequireDepth(testkit.Depth{})
	require.Len(t, backend.Calls(), 4)
	letters := string(client.Get("/api/v1/dead-letters?reason=undecodable").Body)
	for _, id := range ids[4:] {
		require.Contains(t, letters, `"correlation_id":"message-`+id+`"`)
	}
	endWell(t, api, first, second)
	for _, process := range []*testkit.Process{api, first, second} {
		require.NotContains(t, process.Log.Text(), testkit.SQSSecret)
	}
}

func TestConsumersOfOthersReadTheRequestsInSQS(t *testing.T) {
	t.Parallel()
	server := testkit.SharedSQS(t)
	queue := server.NewQueue()
	client := onSQS(t, queue)(t, "api", testkit.OneBackend("http://shop.internal")).Start().Client()
	id := client.Submit(`{"payload": {"n":  1e400}, "headers": {"X-One": "1"}, "metadata": {"path": "/a"}}`).CorrelationID

	request := decode[wireRequest](t, server.Take(t, queue.Name))

	require.Equal(t, id, request.ID)
	require.Equal(t, `{"n":  1e400}`, string(request.Payload))
	require.Equal(t, "1", request.Headers["X-One"])
	require.Equal(t, "/a", request.Metadata.Path)
	require.Equal(t, http.StatusOK, cancel(t, client, id).Code)
}

// sqsProgram is somebody else's that uses the same SQS.
type sqsProgram struct {
	t      *testing.T
	server *testkit.SQS
}

func (p sqsProgram) read(from string, words ...string) string {
	p.t.Helper()
	for {
		message, all := p.server.Take(p.t, from), true
		for _, word := range words {
			all = all && strings.Contains(message, word)
		}
		if all {
			return message
		}
	}
}

func (p sqsProgram) write(to, _, message string) {
	p.t.Helper()
	p.server.Send(p.t, to, message)
}

func TestOtherProgramsAndSQS(t *testing.T) {
	t.Parallel()
	server := testkit.SharedSQS(t)
	queue := server.NewQueue()
	otherPrograms(t, sqsProgram{t, server}, queue.Name+"-", 200<<10, queue.Variables()...)
}

// What is handed over stands in one message, and a queue has a bound for those. It is 256 KiB where none is told.
func TestARequestThatSQSCannotHandOverFails(t *testing.T) {
	t.Parallel()
	install := onSQS(t, testkit.SharedSQS(t).NewQueue())
	client := install(t, "api", "", "OPENHQM_QUEUE_RESULTS_IN=of-what-is-too-large").Start().Client()
	id := client.Submit(`{"payload": "` + strings.Repeat("x", 256<<10) + `"}`).CorrelationID

	result := client.Result(id)

	require.Equal(t, "FAILED", result.Status)
	require.Contains(t, result.Error, "sqs takes 262144")
}
