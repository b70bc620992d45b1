package e2e_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestMessagesOfOtherProgramsAreForwarded(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, foreignMessages)
}

func foreignMessages(t *testing.T, s site) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	config := testkit.OneBackend(backend.URL) + "log: {level: debug}\n"
	api := s.install(t, "api", config).Start()
	workers := s.install(t, "worker", config)
	first, second := workers.Start(), workers.Start()
	client := api.Client()

	ids := s.Send(t, s.queue.Name,
		testkit.Message{Key: "order-17", Value: `{"correlation_id": "order-17", "payload": {"n":  1e400}, ` +
			`"headers": {"X-One": "1"}, "timestamp": "` + time.Now().UTC().Format("2006-01-02T15:04:05.999999") + // as Python
			`", "metadata": {}}`},
		testkit.Message{Key: "whatever", Value: `{"correlation_id": "twice", "payload": 2}`},
		testkit.Message{Key: "another", Value: `{"correlation_id": "twice", "payload": 2}`},
		testkit.Message{Value: `{"payload": "who am I"}`},
		testkit.Message{Value: "this is not JSON"},
		testkit.Message{Value: `{"Type": "Notification", "Message": "{}"}`},
		testkit.Message{Key: "rude", Value: `{"correlation_id": "rude", "payload": 1, "metadata": {"priority": 99}}`},
	)
	s.Send(t, s.queue.High(), testkit.Message{Value: `{"correlation_id": "urgent", "payload": 3}`})

	calls := make(map[string]*testkit.Call)
	for _, call := range backend.Await(4) {
		calls[string(call.Body)] = call
	}
	require.Equal(t, "order-17", calls[`{"n":  1e400}`].ID)
	require.Equal(t, "1", calls[`{"n":  1e400}`].Header.Get("X-One"))
	require.Equal(t, "twice", calls["2"].ID)
	require.Equal(t, "urgent", calls["3"].ID)
	require.Regexp(t, "^"+ids[3]+"$", calls[`"who am I"`].ID, "it is made from the place or the id of the message")
	for payload, call := range calls {
		require.Equal(t, payload, string(client.Result(call.ID).Result))
	}
	client.RequireDepth(testkit.Depth{})
	require.Len(t, backend.Calls(), 4)
	letters := string(client.Get("/api/v1/dead-letters?reason=undecodable").Body)
	require.Equal(t, 3, strings.Count(letters, `"correlation_id":"`), letters)
	for _, id := range []string{ids[4], ids[5], "rude"} {
		require.Regexp(t, `"correlation_id":"`+id+`"`, letters)
	}
	rude := decode[shownLetter](t, string(client.Get("/api/v1/dead-letters/rude").Body))
	require.JSONEq(t, `{"correlation_id": "rude", "payload": 1, "metadata": {"priority": 99}}`, rude.Message)
	require.Equal(t, "FAILED", client.Status("rude").Status)
	s.Send(t, s.queue.Name, testkit.Message{Key: "twice", Value: `{"correlation_id": "twice", "payload": "another"}`})
	testkit.Until(t, "a used id is told", func() bool {
		return strings.Contains(string(client.Get("/api/v1/dead-letters?reason=id_conflict").Body), `"correlation_id":"`)
	})
	endWell(t, api, first, second)
	if s.Secret != "" {
		for _, process := range []*testkit.Process{api, first, second} {
			require.NotContains(t, process.Log.Text(), s.Secret)
		}
	}
}

func TestOtherProgramsReadTheRequests(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, requestsAreReadable)
}

func requestsAreReadable(t *testing.T, s site) {
	t.Helper()
	client := s.install(t, "api", testkit.OneBackend("http://shop.internal")).Start().Client()
	id := client.Submit(`{"payload": {"n":  1e400}, "headers": {"X-One": "1"}, "metadata": {"path": "/a"}}`).CorrelationID

	message := s.Read(t, s.queue.Name, 1)[0]

	require.Equal(t, s.keyOf(id), message.Key)
	request := decode[wireRequest](t, message.Value)
	require.Equal(t, id, request.ID)
	require.Equal(t, `{"n":  1e400}`, string(request.Payload))
	require.Equal(t, "1", request.Headers["X-One"])
	require.Equal(t, "/a", request.Metadata.Path)
	require.Equal(t, http.StatusOK, cancel(t, client, id).Code)
}

// keyOf returns the key that a message about a request has.
func (s *site) keyOf(id string) string {
	if !s.Keyed {
		return ""
	}
	return id
}

func TestOtherProgramsReadTheResults(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, resultsAreReadable)
}

func resultsAreReadable(t *testing.T, s site) {
	t.Helper()
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		reply := testkit.With("X-Order", "17", testkit.Respond(http.StatusCreated, "application/json", `{"n":  1e400}`))
		if call.ID == "sad" {
			reply = testkit.Respond(http.StatusInternalServerError, "text/plain", "no tea")
		}
		reply(w, r, call)
	})
	config, responses := testkit.OneBackend(backend.URL)+"retry: {max_attempts: 1}\n", s.queue.Name+"-responses"
	s.install(t, "worker", config, "OPENHQM_QUEUE_RESPONSES="+responses).Start()
	began := time.Now().Truncate(time.Millisecond)

	s.Send(t, s.queue.Name,
		testkit.Message{Value: `{"correlation_id": "glad", "payload": 1}`},
		testkit.Message{Value: `{"correlation_id": "sad", "payload": 2}`},
	)

	results := make(map[string]map[string]json.RawMessage)
	for _, message := range s.Read(t, responses, 2) {
		result := decode[map[string]json.RawMessage](t, message.Value)
		id := decode[string](t, string(result["correlation_id"]))
		require.Equal(t, s.keyOf(id), message.Key)
		results[id] = result
	}
	requireMembers(t, results["glad"], began, map[string]string{
		"correlation_id": `"glad"`, "status": `"COMPLETED"`, "status_code": "201", "result": `{"n":  1e400}`,
	}, map[string]string{"Content-Type": "application/json", "Content-Length": "13", "X-Order": "17"})
	requireMembers(t, results["sad"], began, map[string]string{
		"correlation_id": `"sad"`, "status": `"FAILED"`, "status_code": "500", "result": `"no tea"`,
		"error": `"the backend answered 500 Internal Server Error"`,
	}, map[string]string{"Content-Type": "text/plain", "Content-Length": "6"})
}

// requireMembers compares a result with all the members that it must have: these as they stand, these headers and a
// Date, and when it was made and how long that took. It may have no further ones.
func requireMembers(
	t *testing.T, result map[string]json.RawMessage, began time.Time, want, headers map[string]string,
) {
	t.Helper()
	got := make(map[string]string)
	for name, value := range result {
		got[name] = string(value)
	}
	fields := decode[map[string]string](t, got["headers"])
	require.Contains(t, fields, "Date")
	delete(fields, "Date")
	require.Equal(t, headers, fields)
	require.GreaterOrEqual(t, decode[int64](t, got["processing_time_ms"]), int64(0))
	require.WithinRange(t, decode[time.Time](t, got["timestamp"]), began, time.Now())
	for _, name := range []string{"headers", "processing_time_ms", "timestamp"} {
		delete(got, name)
	}
	require.Equal(t, want, got)
}

func TestOtherProgramsDoTheWork(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, otherProgramsWork)
}

// otherProgramsWork has an api that hands its requests over, a large one included, and stores the results that come
// back.
func otherProgramsWork(t *testing.T, s site) {
	t.Helper()
	done := s.queue.Name + "-done"
	api := s.install(t, "api", testkit.OneBackend("http://shop.internal"), "OPENHQM_QUEUE_RESULTS_IN="+done).Start()
	client := api.Client()
	id := client.Submit(`{"payload": {"item": "tea"}}`).CorrelationID
	s.await(t, s.queue.Name, id, `"payload":{"item": "tea"}`)
	body := strings.Repeat("x", s.MaxBody)
	large := client.Submit(`{"payload": "` + body + `"}`).CorrelationID
	s.await(t, s.queue.Name, large, body)

	s.Send(t, done, testkit.Message{
		Key: id, Value: `{"correlation_id": "` + id + `", "status": "COMPLETED", "result": {"order": 17}}`,
	})

	require.JSONEq(t, `{"order": 17}`, string(client.Result(id).Result))
	endWell(t, api)
}

func TestOtherProgramsAreNotifiedOfResultsAndDeadLetters(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, notices)
}

func notices(t *testing.T, s site) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Refuse(http.StatusTeapot))
	responses, dead := s.queue.Name+"-responses", s.queue.Name+"-dead"
	process := s.install(t, "all", testkit.OneBackend(backend.URL),
		"OPENHQM_QUEUE_RESPONSES="+responses, "OPENHQM_QUEUE_DEAD_LETTERS="+dead).Start()
	s.Send(t, s.queue.Name,
		testkit.Message{Key: "theirs", Value: `{"correlation_id": "theirs", "payload": 1}`},
		testkit.Message{Key: "oops", Value: `{"oops"`},
	)
	s.await(t, responses, `"correlation_id":"theirs"`, `"COMPLETED"`, "418")
	s.await(t, dead, `"error":"message: is not valid JSON`)
	endWell(t, process)
}

// await waits for a message that has all these texts.
func (s *site) await(t *testing.T, name string, texts ...string) {
	t.Helper()
	for n := 1; ; n++ {
		if slices.ContainsFunc(s.Read(t, name, n), func(m testkit.Message) bool {
			return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(m.Value, text) })
		}) {
			return
		}
	}
}
