package e2e_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// foreign is a worker alone: other programs write the requests, and read the results.
type foreign struct {
	t       *testing.T // of the case
	server  *testkit.Redis
	backend *testkit.Backend
	config  string
}

// wireResult is a result as those programs see it.
type wireResult struct {
	ID         string          `json:"correlation_id"`
	Status     string          `json:"status"`
	StatusCode int             `json:"status_code"`
	Headers    map[string]any  `json:"headers"`
	Result     json.RawMessage `json:"result"`
	Encoding   string          `json:"result_encoding"`
	URL        string          `json:"result_url"`
	Error      string          `json:"error"`
	Timestamp  time.Time       `json:"timestamp"`
}

// wireDeadLetter is the notice of a request that failed, as those programs see it.
type wireDeadLetter struct {
	Message  json.RawMessage `json:"message"`
	Encoding string          `json:"message_encoding"`
	ID       string          `json:"correlation_id"`
	Error    string          `json:"error"`
	Attempts int             `json:"attempts"`
	FailedAt time.Time       `json:"failed_at"`
}

const foreignConfig = `
server: {public_url: "https://hqm.example.com"}
queue: {responses: openhqm-responses, dead_letters: openhqm-dead-letters}
retry: {base: 20ms, max: 20ms, max_attempts: 2}
proxy:
  default_endpoint: echo
  endpoints:
    echo:  {url: %q}
    sad:   {url: %q, breaker: {ratio: 0}}
    large: {url: %q}
`

func TestForeignMessagesOnRedisAreForwarded(t *testing.T) {
	t.Parallel()
	f := foreign{server: testkit.StartRedis(t), backend: testkit.NewBackend(t, testkit.Echo())}
	sad := testkit.NewBackend(t, testkit.Refuse(http.StatusServiceUnavailable))
	large := testkit.NewBackend(t, testkit.Respond(http.StatusOK, "text/plain", strings.Repeat("x", 256<<10+1)))
	f.config = fmt.Sprintf(foreignConfig, f.backend.URL, sad.URL, large.URL)
	publish(t, f.server, requestStream, `{"correlation_id": "early", "payload": 1}`)
	worker := onRedis(t, f.server, "worker", f.config).Start()
	runAll(t, f.in, map[string]func(foreign){
		"a message from before there was a worker":    foreign.anEarlyMessage,
		"a message in its simplest form":              foreign.aSimpleMessage,
		"a message that says everything":              foreign.aWholeMessage,
		"a message without an id":                     foreign.aMessageWithoutAnID,
		"a message that comes twice":                  foreign.aMessageThatComesTwice,
		"a body that is no JSON":                      foreign.aBodyThatIsNoJSON,
		"garbage is a dead letter":                    foreign.garbageIsADeadLetter,
		"a request that fails is published":           foreign.aFailureIsPublished,
		"a large result is published as its URL":      foreign.aLargeResult,
		"an endpoint that no worker knows":            foreign.anUnknownEndpoint,
		"fields of the gateway and of one connection": foreign.fieldsThatDoNotTravel,
	})
	require.Equal(t, "0", f.server.Run("XLEN", requestStream), "what is done leaves the stream")
	require.Equal(t, testkit.Depth{}, worker.Client().Depth())
	endWell(t, worker)
}

// in returns it to a case.
func (f foreign) in(t *testing.T) foreign {
	t.Helper()
	f.t = t
	return f
}

// send publishes a message as another program would.
func (f foreign) send(message string) (entryID string) {
	t := f.t
	t.Helper()
	return publish(t, f.server, requestStream, message)
}

// result waits for the notice of a request's end.
func (f foreign) result(id string) wireResult {
	t := f.t
	t.Helper()
	return decode[wireResult](t, awaitEntry(t, f.server, responseStream, fmt.Sprintf(`"correlation_id":%q`, id)).payload)
}

func (f foreign) deadLetter(id string) wireDeadLetter {
	t := f.t
	t.Helper()
	return decode[wireDeadLetter](t,
		awaitEntry(t, f.server, deadLetterStream, fmt.Sprintf(`"correlation_id":%q`, id)).payload)
}

// taken waits until a message has left the stream.
func (f foreign) taken(entryID string) {
	t := f.t
	t.Helper()
	testkit.Until(t, "the message has left the stream", func() bool {
		return f.server.Run("XRANGE", requestStream, entryID, entryID) == ""
	})
}

func (f foreign) aSimpleMessage() {
	t := f.t
	written := time.Now().UTC()
	message := fmt.Sprintf(`{"correlation_id": "order-17", "payload": {"n":  1e400}, "headers": {"X-One": "1"},
		"timestamp": %q, "metadata": {}}`, written.Format("2006-01-02T15:04:05.999999")) // as Python does, without a zone

	entryID := f.send(message)

	result := f.result("order-17")
	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, http.StatusOK, result.StatusCode)
	require.Equal(t, `{"n":  1e400}`, string(result.Result))
	require.Equal(t, "application/json", result.Headers["Content-Type"])
	require.False(t, result.Timestamp.Before(written.Truncate(time.Millisecond)))
	require.Empty(t, result.URL)
	calls := f.backend.CallsOf("order-17")
	require.Len(t, calls, 1)
	require.Equal(t, "1", calls[0].Header.Get("X-One"))
	require.Equal(t, "application/json", calls[0].Header.Get("Content-Type"))
	require.Equal(t, http.MethodPost, calls[0].Method)
	f.taken(entryID)
}

func (f foreign) anEarlyMessage() {
	require.Equal(f.t, "COMPLETED", f.result("early").Status)
}

func (f foreign) aWholeMessage() {
	t := f.t
	f.send(`{"correlation_id": "whole", "payload": 1, "unknown": {}, "headers": {"X-Two": ["1", "2"]}, "metadata": {
		"endpoint": "echo", "method": "PATCH", "path": "/a%2Fb", "query": "q=%20", "priority": 9, "timeout": 60,
		"retry_count": 1, "max_attempts": 3, "labels": {"a": "b"}, "later": true,
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}`)

	require.Equal(t, "COMPLETED", f.result("whole").Status)
	calls := f.backend.CallsOf("whole")
	require.Len(t, calls, 1)
	require.Equal(t, "PATCH", calls[0].Method)
	require.Equal(t, "/a%2Fb?q=%20", calls[0].Target)
	require.Equal(t, []string{"1", "2"}, calls[0].Header["X-Two"])
	require.Equal(t, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", calls[0].Header.Get("Traceparent"))
	require.Equal(t, 2, calls[0].Attempt, "one was charged before")
}

func (f foreign) aMessageWithoutAnID() {
	t := f.t
	entryID := f.send(`{"payload": "who am I"}`)
	f.taken(entryID)

	var id string
	testkit.Until(t, "it is forwarded", func() bool {
		for _, c := range f.backend.Calls() {
			if string(c.Body) == `"who am I"` {
				id = c.ID
			}
		}
		return id != ""
	})

	require.Contains(t, id, entryID, "it is made from the message's place")
	require.Equal(t, `"who am I"`, string(f.result(id).Result))
}

func (f foreign) aMessageThatComesTwice() {
	t := f.t
	first := f.send(`{"correlation_id": "twice", "payload": 1}`)
	second := f.send(`{"correlation_id": "twice", "payload": 1}`)
	f.taken(first)
	f.taken(second)

	require.Equal(t, "COMPLETED", f.result("twice").Status)
	require.Len(t, f.backend.CallsOf("twice"), 1)
}

func (f foreign) aBodyThatIsNoJSON() {
	t := f.t
	binary := base64.StdEncoding.EncodeToString([]byte("\x00\xff"))
	f.send(`{"correlation_id": "binary", "body": "` + binary + `", "metadata": {"content_type": "application/x-tea"}}`)

	result := f.result("binary")

	require.Equal(t, "base64", result.Encoding)
	require.Equal(t, `"`+binary+`"`, string(result.Result))
	calls := f.backend.CallsOf("binary")
	require.Len(t, calls, 1)
	require.Equal(t, "\x00\xff", string(calls[0].Body))
	require.Equal(t, "application/x-tea", calls[0].Header.Get("Content-Type"))
}

func (f foreign) garbageIsADeadLetter() {
	t := f.t
	const text = "this is not JSON"
	const unknown = `{"correlation_id": "rude", "payload": 1, "metadata": {"priority": 99}}`
	for _, give := range []struct{ message, id, want, encoding string }{
		{text, "", `"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"`, "base64"},
		{unknown, "rude", unknown, ""},
		{`{"payload": 1, "body": "MQ=="}`, "", `{"payload": 1, "body": "MQ=="}`, ""},
		{`{"body_ref": "theirs"}`, "", `{"body_ref": "theirs"}`, ""},
	} {
		entryID := f.send(give.message)
		id := cmp.Or(give.id, "stream-"+entryID)
		found := awaitEntry(t, f.server, deadLetterStream, fmt.Sprintf(`"correlation_id":%q`, id))
		letter := decode[wireDeadLetter](t, found.payload)
		require.Equal(t, give.want, string(letter.Message))
		require.Equal(t, give.encoding, letter.Encoding)
		require.NotEmpty(t, letter.Error)
		require.Zero(t, letter.Attempts)
		require.Equal(t, "FAILED", f.result(letter.ID).Status)
		f.taken(entryID)
	}
	entryID := f.server.Run("XADD", requestStream, "*", "field", "not the one")
	found := awaitEntry(t, f.server, deadLetterStream, entryID)
	require.Contains(t, found.payload, `"fields":[{"name":"field","value":"not the one"}]`)
	require.Empty(t, f.backend.CallsOf("rude"))
}

func (f foreign) aFailureIsPublished() {
	t := f.t
	const payload = `{ "n": 1e400 }`
	written := time.Now()
	f.send(`{"correlation_id": "sad", "payload": ` + payload + `, "metadata": {"endpoint": "sad", "path": "/a"}}`)

	result := f.result("sad")
	require.Equal(t, "FAILED", result.Status)
	require.Equal(t, http.StatusServiceUnavailable, result.StatusCode)
	require.Equal(t, `{"refused": true}`, string(result.Result))
	require.NotEmpty(t, result.Error)

	letter := f.deadLetter("sad")
	require.Equal(t, 2, letter.Attempts)
	require.Equal(t, result.Error, letter.Error)
	require.False(t, letter.FailedAt.Before(written.Truncate(time.Millisecond)))
	original := decode[wireRequest](t, string(letter.Message))
	require.Equal(t, "sad", original.ID)
	require.Equal(t, payload, string(original.Payload))
	require.Equal(t, "sad", original.Metadata.Endpoint)
	require.Equal(t, "/a", original.Metadata.Path)
}

func (f foreign) aLargeResult() {
	t := f.t
	f.send(`{"correlation_id": "large", "payload": 1, "metadata": {"endpoint": "large"}}`)

	result := f.result("large")

	require.Equal(t, "COMPLETED", result.Status)
	require.Nil(t, result.Result)
	require.Equal(t, "https://hqm.example.com/api/v1/response/large/raw", result.URL)
	client := onRedis(t, f.server, "api", f.config).Start().Client()
	require.Len(t, string(client.Result("large").Result), 256<<10+1+len(`""`))
}

func (f foreign) anUnknownEndpoint() {
	t := f.t
	// Another worker may know it, so it waits.
	f.send(`{"correlation_id": "stray", "payload": 1, "metadata": {"endpoint": "nowhere", "timeout": 2}}`)

	result := f.result("stray")

	require.Equal(t, "TIMEOUT", result.Status)
	require.Zero(t, result.StatusCode)
	require.Zero(t, f.deadLetter("stray").Attempts)
}

func (f foreign) fieldsThatDoNotTravel() {
	t := f.t
	f.send(`{"correlation_id": "fields", "payload": 1, "headers": {"X-OpenHQM-Key": "k", "x-openhqm-id": "other",
		"Connection": "close, X-Named", "X-Named": "1", "Host": "elsewhere", "Transfer-Encoding": "chunked", "X-Kept": "1"}}`)

	require.Equal(t, "COMPLETED", f.result("fields").Status)
	calls := f.backend.CallsOf("fields")
	require.Len(t, calls, 1)
	require.Equal(t, strings.TrimPrefix(f.backend.URL, "http://"), calls[0].Host)
	require.Equal(t, "1", calls[0].Header.Get("X-Kept"))
	for _, name := range []string{"X-Openhqm-Key", "Connection", "X-Named", "Transfer-Encoding"} {
		require.NotContains(t, calls[0].Header, name)
	}
}

func TestARequestThatAnAPIEndsIsPublishedToo(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	api := onRedis(t, server, "api", "", // as in its workers: whoever ends a request leaves word of it
		"OPENHQM_QUEUE_RESPONSES="+responseStream, "OPENHQM_QUEUE_DEAD_LETTERS="+deadLetterStream).Start()
	f := foreign{t: t, server: server}
	cancelled := api.Client().Submit(`{"payload": 1, "metadata": {"delay": "1h"}}`).CorrelationID
	late := api.Client().Submit(`{"payload": "late", "metadata": {"timeout": 1}}`).CorrelationID

	require.Equal(t, http.StatusOK, cancel(t, api.Client(), cancelled).Code)

	require.Equal(t, "CANCELLED", f.result(cancelled).Status)
	require.Equal(t, "TIMEOUT", f.result(late).Status)
	letter := f.deadLetter(late)
	require.Equal(t, `"late"`, string(decode[wireRequest](t, string(letter.Message)).Payload))
	require.NotContains(t, server.Run("XRANGE", deadLetterStream, "-", "+"), cancelled, "to cancel is no failure")
}
