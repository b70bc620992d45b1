package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// handover is an api whose requests are for consumers of other programs, which send the results back.
type handover struct {
	t      *testing.T // of the case
	server *testkit.Redis
	client *testkit.Client // of one api
	other  *testkit.Client // of another
}

// wireRequest is a request as those consumers see it.
type wireRequest struct {
	ID        string          `json:"correlation_id"`
	Timestamp time.Time       `json:"timestamp"`
	Payload   json.RawMessage `json:"payload"`
	Body      []byte          `json:"body"` // base64
	Headers   map[string]any  `json:"headers"`
	Metadata  struct {
		Endpoint string            `json:"endpoint"`
		Method   string            `json:"method"`
		Path     string            `json:"path"`
		Query    string            `json:"query"`
		Priority int               `json:"priority"`
		Timeout  float64           `json:"timeout"` // seconds
		Labels   map[string]string `json:"labels"`
	} `json:"metadata"`
}

func TestRequestsAreHandedOverToOtherPrograms(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	apis := onRedis(t, server, "api", testkit.OneBackend("http://shop.internal"), "OPENHQM_QUEUE_RESULTS_IN="+resultStream)
	one, other := apis.Start(), apis.Start()
	h := handover{server: server, client: one.Client(), other: other.Client()}
	runAll(t, h.in, map[string]func(handover){
		"a consumer reads and answers":                 handover.aConsumerAnswers,
		"the first final result wins":                  handover.theFirstResultWins,
		"a result comes as it was sent":                handover.resultsOfEveryKind,
		"a failure is a dead letter":                   handover.aFailureIsADeadLetter,
		"a result of nobody's request does no harm":    handover.aResultOfNobody,
		"a malformed result is a dead letter":          handover.aMalformedResult,
		"a bad result ends its request":                handover.aBadResult,
		"what nobody answers ends at its deadline":     handover.nobodyAnswers,
		"what is cancelled leaves the stream":          handover.cancelledLeavesTheStream,
		"what is delayed comes when it is due":         handover.delayedComesWhenDue,
		"an idempotency key is one message":            handover.oneMessageOfAKey,
		"a large body stands in the message, as it is": handover.aLargeBodyStandsInTheMessage,
	})
	endWell(t, one, other)
}

// in returns it to a case.
func (h handover) in(t *testing.T) handover {
	t.Helper()
	h.t = t
	return h
}

// awaitResults waits until the api has dealt with all results that were sent.
func (h handover) awaitResults() {
	t := h.t
	t.Helper()
	testkit.Until(t, "all results have left the stream", func() bool { return h.server.Run("XLEN", resultStream) == "0" })
}

// gone waits until a request is not in the stream any more.
func (h handover) gone(id string) {
	t := h.t
	t.Helper()
	testkit.Until(t, id+" has left the stream", func() bool {
		return !strings.Contains(h.server.Run("XRANGE", requestStream, "-", "+"), id)
	})
}

func (h handover) aConsumerAnswers() {
	t := h.t
	h.server.Run("XGROUP", "CREATE", requestStream, "theirs", "0", "MKSTREAM")
	const payload = `{ "order" : 17, "n": 1e400, "s": "<&>" }`
	receipt := h.client.Submit(`{"payload": ` + payload + `, "headers": {"X-One": ["1", "2"], "Cookie": "a=b"},
		"metadata": {"method": "PUT", "path": "/orders/17", "query": "v=%20", "priority": 7, "timeout": 90,
			"labels": {"shop": "1"}}}`)

	var read entry
	testkit.Until(t, "the consumer reads the request", func() bool {
		answer := h.server.Run("XREADGROUP", "GROUP", "theirs", "one", "COUNT", "1", "STREAMS", requestStream, ">")
		_, list, _ := strings.Cut(answer, "\n") // behind the name of the stream
		if all := parseEntries(t, list); len(all) == 1 {
			read = all[0]
			require.Equal(t, "1", h.server.Run("XACK", requestStream, "theirs", read.id))
		}
		return strings.Contains(read.payload, receipt.CorrelationID)
	})
	require.Contains(t, read.payload, `"payload":`+payload)
	request := decode[wireRequest](t, read.payload)
	require.Equal(t, receipt.CorrelationID, request.ID)
	require.Equal(t, receipt.SubmittedAt, request.Timestamp)
	require.Equal(t, map[string]any{"X-One": []any{"1", "2"}, "Cookie": "a=b", "Content-Type": "application/json"},
		request.Headers)
	require.Equal(t, "backend", request.Metadata.Endpoint)
	require.Equal(t, "PUT", request.Metadata.Method)
	require.Equal(t, "/orders/17", request.Metadata.Path)
	require.Equal(t, "v=%20", request.Metadata.Query)
	require.Equal(t, 7, request.Metadata.Priority)
	require.InDelta(t, 90, request.Metadata.Timeout, 0)
	require.Equal(t, map[string]string{"shop": "1"}, request.Metadata.Labels)
	require.Equal(t, "PENDING", h.client.Status(request.ID).Status)

	publish(t, h.server, resultStream, fmt.Sprintf(
		`{"correlation_id": %q, "result": {"taken":  true}, "status": "COMPLETED"}`, request.ID))

	for _, client := range []*testkit.Client{h.other, h.client} {
		result := client.Result(request.ID) // waits for it
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, http.StatusOK, result.StatusCode)
		require.Equal(t, `{"taken":  true}`, string(result.Result))
	}
	h.gone(request.ID)
	require.Equal(t, "CONFLICT", cancel(t, h.client, request.ID).Problem(t, http.StatusConflict).Code)
}

func (h handover) theFirstResultWins() {
	t := h.t
	id := h.client.Submit(`{"payload": 1}`).CorrelationID
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", "status_code": 201,
		"headers": {"Content-Type": "text/plain", "X-Who": ["a", "b"]}, "result": "first", "processing_time_ms": 12}`, id))
	h.client.Result(id) // two processes read the stream, and each could be faster with the one that it has
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "FAILED", "error": "second"}`, id))
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", "result": "third"}`, id))
	h.awaitResults()

	result := h.client.Result(id)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, http.StatusCreated, result.StatusCode)
	require.Equal(t, `"first"`, string(result.Result))
	require.Equal(t, []any{"a", "b"}, result.Headers["X-Who"])
	require.Contains(t, string(result.Document), `"processing_time_ms":12`)
	call(t, h.client, http.MethodGet, "/"+id, "", http.StatusNotFound, nil)
}

func (h handover) resultsOfEveryKind() {
	t := h.t
	large := `"` + strings.Repeat("0123456789abcdef", 1<<15) + `"`
	for _, tt := range []struct{ give, wantResult, wantEncoding, wantType string }{
		{`"result": {"a":  1e400}`, `{"a":  1e400}`, "", "application/json"},
		{`"result": "text"`, `"text"`, "", ""},
		{`"result": "\"JSON\"", "headers": {"content-type": "application/json"}`, `"\"JSON\""`, "", "application/json"},
		{`"result": "AP8=", "result_encoding": "base64"`, `"AP8="`, "base64", ""},
		{`"result": ` + large, large, "", ""},
		{`"error": null`, `""`, "", ""},
	} {
		id := h.client.Submit(`{"payload": 1}`).CorrelationID
		publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", %s}`, id, tt.give))
		result := h.client.Result(id)
		require.Equal(t, "COMPLETED", result.Status, tt.give)
		require.Equal(t, tt.wantResult, string(result.Result))
		require.Equal(t, tt.wantEncoding, result.ResultEncoding, tt.give)
		if tt.wantType != "" {
			require.Equal(t, tt.wantType, result.Headers["Content-Type"], tt.give)
		}
	}
}

func (h handover) aFailureIsADeadLetter() {
	t := h.t
	id := h.client.Submit(`{"payload": "mend me"}`).CorrelationID
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "FAILED", "error": "no tea"}`, id))

	result := h.client.Result(id)

	require.Equal(t, "FAILED", result.Status)
	require.Equal(t, "no tea", result.Error)
	letter := call(t, h.client, http.MethodGet, "/"+id, "", http.StatusOK, nil)
	require.Contains(t, string(letter.Body), `"payload":"mend me"`)
	h.gone(id)
	var resent struct {
		ID string `json:"correlation_id"`
	}
	call(t, h.client, http.MethodPost, "/"+id+"/resend", "", http.StatusAccepted, &resent)
	awaitEntry(t, h.server, requestStream, resent.ID)
}

func (h handover) aResultOfNobody() {
	t := h.t
	publish(t, h.server, resultStream, `{"correlation_id": "nobody", "status": "COMPLETED", "result": 1}`)
	id := h.client.Submit(`{"payload": 1}`).CorrelationID
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", "result": 2}`, id))

	require.Equal(t, "2", string(h.client.Result(id).Result))
	h.awaitResults()
	require.Equal(t, http.StatusNotFound, h.client.Get("/api/v1/status/nobody").Code)
}

// aMalformedResult has results that name no request, and a request that another program says it works on.
func (h handover) aMalformedResult() {
	t := h.t
	id := h.client.Submit(`{"payload": 1}`).CorrelationID
	working := fmt.Sprintf(`{"correlation_id": %q, "status": "PROCESSING"}`, id)
	for _, document := range []string{`no JSON`, `{}`, `[]`, `{"status": "COMPLETED", "result": 1}`, working} {
		entryID := publish(t, h.server, resultStream, document)
		h.awaitResults()
		letter := shownLetter{}
		call(t, h.client, http.MethodGet, "/result-"+entryID, "", http.StatusOK, &letter)
		require.Equal(t, document, letter.Message)
		require.Equal(t, "undecodable", letter.Reason)
	}
	entryID := h.server.Run("XADD", resultStream, "*", "field", "not the one")
	h.awaitResults()
	call(t, h.client, http.MethodGet, "/result-"+entryID, "", http.StatusOK, nil)

	require.Equal(t, "PENDING", h.client.Status(id).Status, "a program may still work on it")
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", "result": 1}`, id))
	require.Equal(t, "COMPLETED", h.client.Result(id).Status)
}

func (h handover) aBadResult() {
	t := h.t
	for _, members := range []string{
		`"status": "completed"`,
		`"status": "DONE", "result": 1`,
		`"status": "COMPLETED", "status_code": "200"`,
		`"status": "COMPLETED", "result_url": "http://elsewhere/"`,
		`"result": 1`,
	} {
		id := h.client.Submit(`{"payload": 1}`).CorrelationID
		document := fmt.Sprintf(`{"correlation_id": %q, %s}`, id, members)
		entryID := publish(t, h.server, resultStream, document)
		require.Equal(t, "FAILED", h.client.Result(id).Status, members)

		var letter struct {
			shownLetter

			Request struct {
				Payload int `json:"payload"`
			} `json:"request"`
		}
		call(t, h.client, http.MethodGet, "/"+id, "", http.StatusOK, &letter)
		require.Equal(t, "bad_result", letter.Reason)
		require.Equal(t, 1, letter.Request.Payload, "it can be sent again")
		require.Contains(t, letter.Error, "result-"+entryID)
		call(t, h.client, http.MethodGet, "/result-"+entryID, "", http.StatusOK, &letter)
		require.Equal(t, document, letter.Message)
		h.gone(id)
	}
}

func (h handover) nobodyAnswers() {
	t := h.t
	receipt := h.client.Submit(`{"payload": "anybody", "metadata": {"timeout": "2s"}}`)
	id := receipt.CorrelationID
	awaitEntry(t, h.server, requestStream, id)

	result := h.client.Result(id)

	require.Equal(t, "TIMEOUT", result.Status)
	require.False(t, result.CompletedAt.Before(receipt.SubmittedAt.Add(2*time.Second)), "ended too early")
	h.gone(id)
	letter := call(t, h.client, http.MethodGet, "/"+id, "", http.StatusOK, nil)
	require.Contains(t, string(letter.Body), `"reason":"deadline"`)
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", "result": 1}`, id))
	h.awaitResults()
	require.Equal(t, "TIMEOUT", h.client.Result(id).Status, "too late")
}

func (h handover) cancelledLeavesTheStream() {
	t := h.t
	id := h.client.Submit(`{"payload": 1}`).CorrelationID
	awaitEntry(t, h.server, requestStream, id)

	require.Equal(t, http.StatusOK, cancel(t, h.client, id).Code)

	require.NotContains(t, h.server.Run("XRANGE", requestStream, "-", "+"), id)
	publish(t, h.server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", "result": 1}`, id))
	h.awaitResults()
	require.Equal(t, "CANCELLED", h.client.Result(id).Status)
}

func (h handover) delayedComesWhenDue() {
	t := h.t
	receipt := h.client.Submit(`{"payload": 1, "metadata": {"delay": "2s"}}`)
	require.NotContains(t, h.server.Run("XRANGE", requestStream, "-", "+"), receipt.CorrelationID)
	require.NotNil(t, h.client.Status(receipt.CorrelationID).NextAttemptAt)

	found := awaitEntry(t, h.server, requestStream, receipt.CorrelationID)

	millis, _, _ := strings.Cut(found.id, "-") // an entry's id begins with the time of Redis
	at, err := strconv.ParseInt(millis, 10, 64)
	require.NoError(t, err)
	require.False(t, time.UnixMilli(at).Before(receipt.SubmittedAt.Add(2*time.Second)), "came too early")
	require.Nil(t, h.client.Status(receipt.CorrelationID).NextAttemptAt)
}

func (h handover) oneMessageOfAKey() {
	t := h.t
	key := http.Header{"Idempotency-Key": {"order-17"}}
	first := h.client.Post(`{"payload": 17}`, key)
	second := h.client.Post(`{"payload": 17}`, key)

	require.Equal(t, http.StatusAccepted, second.Code)
	require.Equal(t, string(first.Body), string(second.Body))
	id := first.Header.Get("X-Correlation-Id")
	require.Equal(t, 1, strings.Count(h.server.Run("XRANGE", requestStream, "-", "+"), id))
}

func (h handover) aLargeBodyStandsInTheMessage() {
	t := h.t
	payload := `"` + strings.Repeat("0123456789abcdef", 1<<16) + `"`

	id := h.client.Submit(`{"payload": ` + payload + `}`).CorrelationID

	request := decode[wireRequest](t, awaitEntry(t, h.server, requestStream, id).payload)
	require.Equal(t, payload, string(request.Payload))
}

func TestResultsThatArriveWhileNoAPIRunsAreNotLost(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	apis := onRedis(t, server, "api", "", "OPENHQM_QUEUE_RESULTS_IN="+resultStream)
	api := apis.Start()
	read := api.Client().Submit(`{"payload": 1}`).CorrelationID
	never := api.Client().Submit(`{"payload": 2}`).CorrelationID
	api.Kill()
	publish(t, server, resultStream, fmt.Sprintf(`{"correlation_id": %q, "status": "COMPLETED", "result": 3}`, read))

	client := apis.Start().Client()

	require.Equal(t, "3", string(client.Result(read).Result))
	require.Equal(t, "PENDING", client.Status(never).Status)
	awaitEntry(t, server, requestStream, never)
	require.Equal(t, testkit.Depth{Ready: 1}, client.Depth())
}
