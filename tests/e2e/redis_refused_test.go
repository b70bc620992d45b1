package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// refused is a whole gateway on Redis, to which other programs write what is no request, or not a new one.
type refused struct {
	t       *testing.T // of the case
	server  *testkit.Redis
	gateway *testkit.Gateway
	process *testkit.Process
	backend *testkit.Backend
}

// shownLetter is a dead letter as administrators see it.
type shownLetter struct {
	ID       string `json:"correlation_id"`
	Status   string `json:"status"`
	Reason   string `json:"reason"`
	Error    string `json:"error"`
	Message  string `json:"message"`
	Encoding string `json:"message_encoding"`
	Fields   []struct {
		Name     string `json:"name"`
		Value    string `json:"value"`
		Encoding string `json:"value_encoding"`
	} `json:"fields"`
}

func TestMessagesThatAreNoNewRequestsAreRefused(t *testing.T) {
	t.Parallel()
	f := refused{server: testkit.StartRedis(t), backend: testkit.NewBackend(t, testkit.Echo())}
	f.gateway = onRedis(t, f.server, "all", testkit.OneBackend(f.backend.URL))
	f.process = f.gateway.Start()
	runAll(t, f.in, map[string]func(refused){
		"what is no request is never called":              refused.whatIsNoRequest,
		"an entry without our field":                      refused.anEntryWithoutOurField,
		"what is no JSON is kept byte for byte":           refused.whatIsNoJSON,
		"an id is kept although the rest is bad":          refused.anIDIsKept,
		"a used id":                                       refused.aUsedID,
		"ids that mean something in a path":               refused.dots,
		"a payload that is misspelt":                      refused.aMisspeltPayload,
		"an old timestamp":                                refused.anOldTimestamp,
		"a delay":                                         refused.aDelay,
		"a message of megabytes lies beside the stream":   refused.aLargeMessage,
		"a message that is sent twice is no other one":    refused.sentTwice,
		"a request of our own has an id of another's too": refused.anIDOfOurOwn,
	})
	require.Equal(t, testkit.Depth{}, f.process.Client().Depth())
	endWell(t, f.process)
}

// in returns it to a case.
func (f refused) in(t *testing.T) refused {
	t.Helper()
	f.t = t
	return f
}

// send publishes a message, and returns the id of the dead letter that it becomes if it has no id of its own.
func (f refused) send(message string) (letter string) {
	f.t.Helper()
	return "stream-" + publish(f.t, f.server, requestStream, message)
}

// letter waits for a dead letter.
func (f refused) letter(id string) shownLetter {
	f.t.Helper()
	path := "/api/v1/dead-letters/" + url.PathEscape(id)
	testkit.Until(f.t, id+" is a dead letter", func() bool {
		return f.process.Client().Get(path).Code == http.StatusOK
	})
	return decode[shownLetter](f.t, string(f.process.Client().Get(path).Body))
}

func (f refused) result(id string) testkit.Result {
	f.t.Helper()
	return foreignResult(f.t, f.process.Client(), id)
}

// foreignResult waits for the result of a request that another program has sent, which may not be known yet.
func foreignResult(t *testing.T, client *testkit.Client, id string) testkit.Result {
	t.Helper()
	testkit.Until(t, id+" is known", func() bool { return client.Get("/api/v1/status/"+id).Code == http.StatusOK })
	return client.Result(id)
}

// dlq runs the command for dead letters.
func (f refused) dlq(args ...string) testkit.Output {
	return f.gateway.Run(append(append([]string{"dlq"}, args...), "--url", "http://"+f.process.Client().Address)...)
}

func (f refused) whatIsNoRequest() {
	t := f.t
	for name, message := range map[string]string{
		"an empty object": `{}`,
		"an SNS notification": `{"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:1:orders",
			"Subject": "order", "Message": "{\"order\": 17}", "Timestamp": "2026-11-29T00:00:00.000Z"}`,
		"an S3 event":  `{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}]}`,
		"EventBridge":  `{"version": "0", "id": "1", "detail-type": "order", "source": "shop", "detail": {"order": 17}}`,
		"a CloudEvent": `{"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "data": {"order": 17}}`,
		"PascalCase":   `{"CorrelationId": "p-1", "Payload": {"order": 17}, "Metadata": {"Endpoint": "backend"}}`,
	} {
		letter := f.letter(f.send(message))
		require.Equal(t, "undecodable", letter.Reason, name)
		require.Contains(t, letter.Error, "is no request", name)
		require.Equal(t, message, letter.Message, name)
	}
	f.send(`{"correlation_id": "t", "data": {}}`)
	letter := f.letter("t")
	require.Equal(t, `{"correlation_id": "t", "data": {}}`, letter.Message)
	require.Contains(t, letter.Error, `"data"`, "what it has is named")
	require.Equal(t, "FAILED", f.process.Client().Status("t").Status)
	require.Empty(t, f.backend.CallsOf("t"))
	for _, call := range f.backend.Calls() {
		require.NotEmpty(t, call.Body, "nothing is called with nothing")
	}
}

func (f refused) anEntryWithoutOurField() {
	t := f.t
	const value = `{"correlation_id": "theirs", "payload": 1}`
	id := "stream-" + f.server.Run("XADD", requestStream, "*", "data", value, "data", "\xff", "b", "")

	letter := f.letter(id)

	require.Equal(t, "undecodable", letter.Reason)
	require.Equal(t, `the entry has no field "payload"`, letter.Error)
	require.Len(t, letter.Fields, 3)
	require.Equal(t, "data", letter.Fields[0].Name)
	require.Equal(t, value, letter.Fields[0].Value)
	require.Equal(t, base64.StdEncoding.EncodeToString([]byte("\xff")), letter.Fields[1].Value)
	require.Equal(t, "base64", letter.Fields[1].Encoding)
	require.Equal(t, "b", letter.Fields[2].Name)
	shown := f.dlq("show", id)
	require.Zero(t, shown.Code)
	require.Contains(t, shown.Stdout, "field (4 bytes):\ndata\nvalue (42 bytes):\n"+value+"\n")
	require.Empty(t, f.backend.CallsOf("theirs"))
}

func (f refused) whatIsNoJSON() {
	t := f.t
	const message = " {\"payload\": 1,}\n"
	id := f.send(message)

	require.Equal(t, message, f.letter(id).Message)
	shown := f.dlq("show", id)
	require.Zero(t, shown.Code)
	require.Contains(t, shown.Stdout, "message (17 bytes):\n"+message+"\n")
	resend := f.dlq("resend", id)
	require.Equal(t, 1, resend.Code)
	require.Contains(t, resend.Stderr, "cannot be read")
	require.Equal(t, message, f.letter(id).Message, "it stays")

	id = f.send("\xff\xfe")
	letter := f.letter(id)
	require.Equal(t, "//4=", letter.Message)
	require.Equal(t, "base64", letter.Encoding)
	require.Contains(t, f.dlq("show", id).Stdout, "message in base64 (2 bytes):\n//4=\n")
}

func (f refused) anIDIsKept() {
	t := f.t
	const message = `{"correlation_id":"order-1","payload":1,"metadata":{"priority":99}}`
	f.send(message)
	letter := f.letter("order-1")
	require.Equal(t, message, letter.Message)
	require.Contains(t, letter.Error, "metadata.priority")
	client := f.process.Client()
	require.Equal(t, "FAILED", client.Status("order-1").Status)
	require.Contains(t, string(client.Get("/api/v1/response/order-1").Body), "metadata.priority",
		"a producer that asks sees the reason")
}

// aUsedID has an id of a request that waits, and the same once that is done.
func (f refused) aUsedID() {
	t := f.t
	f.send(`{"correlation_id": "used", "payload": "first", "metadata": {"delay": 2}}`)
	testkit.Until(t, "it waits", func() bool {
		return f.process.Client().Get("/api/v1/status/used").Code == http.StatusOK
	})
	f.conflicts("used", `"while it waits"`)
	require.Equal(t, `"first"`, string(f.result("used").Result))
	f.conflicts("used", `"when it is done"`)
	require.Len(t, f.backend.CallsOf("used"), 1)

	f.send(`{"correlation_id": "used", "payload": 1, "metadata": {"priority": -1}}`)
	require.Equal(t, `"first"`, string(f.result("used").Result), "it is not ended by what cannot be read either")
}

// conflicts sends a message with an id that is used, and resends its dead letter, which has another id then.
func (f refused) conflicts(id, payload string) {
	t := f.t
	t.Helper()
	message := fmt.Sprintf(`{"correlation_id": %q, "payload": %s}`, id, payload)
	letter := f.letter(f.send(message))
	require.Equal(t, "id_conflict", letter.Reason)
	require.Contains(t, letter.Error, id)
	require.Equal(t, message, letter.Message)
	resend := f.dlq("resend", letter.ID)
	require.Zero(t, resend.Code, resend.Stderr)
	_, resent, found := strings.Cut(strings.TrimSpace(resend.Stdout), " resent as ")
	require.True(t, found, resend.Stdout)
	require.Equal(t, payload, string(f.result(resent).Result))
}

func (f refused) anIDOfOurOwn() {
	t := f.t
	id := f.process.Client().Submit(`{"payload": "ours"}`).CorrelationID
	f.conflicts(id, `"theirs"`)
	require.Equal(t, `"ours"`, string(f.result(id).Result))
}

func (f refused) sentTwice() {
	t := f.t
	for range 2 {
		f.send(`{"correlation_id": "again", "payload": 1, "timestamp": "` + time.Now().UTC().Format(time.RFC3339Nano) + `"}`)
	}
	require.Equal(t, "COMPLETED", f.result("again").Status)
	testkit.Until(t, "both are read", func() bool { return f.server.Run("XLEN", requestStream) == "0" })
	letters := string(f.process.Client().Get("/api/v1/dead-letters?reason=id_conflict").Body)
	require.NotContains(t, letters, "again")
	require.Len(t, f.backend.CallsOf("again"), 1)
}

func (f refused) dots() {
	t := f.t
	for _, dots := range []string{".", ".."} {
		id := f.send(`{"correlation_id": "` + dots + `", "payload": 1}`)
		require.Equal(t, "COMPLETED", f.result(id).Status, "it has an id that can be asked for")
	}
}

func (f refused) aMisspeltPayload() {
	t := f.t
	f.send(`{"correlation_id": "mislaid", "paylod": 1, "metadata": {"endpoint": "backend"}}`)
	require.Contains(t, f.letter("mislaid").Error, "paylod")
	require.Empty(t, f.backend.CallsOf("mislaid"))
}

func (f refused) anOldTimestamp() {
	t := f.t
	for id, members := range map[string]string{"old-1": `{"timeout": 30}`, "old-2": `{}`} {
		f.send(fmt.Sprintf(`{"correlation_id": %q, "payload": 1, "timestamp": "2016-01-02T03:04:05Z", "metadata": %s}`,
			id, members))
		require.Equal(t, "TIMEOUT", f.result(id).Status)
		require.Empty(t, f.backend.CallsOf(id))
	}
}

func (f refused) aDelay() {
	t := f.t
	const delay = 1500 * time.Millisecond
	began := time.Now()
	f.send(`{"correlation_id": "delayed", "payload": 1, "metadata": {"delay": "1.5s"}}`)
	require.Equal(t, "COMPLETED", f.result("delayed").Status)
	require.GreaterOrEqual(t, time.Since(began), delay)
}

func (f refused) aLargeMessage() {
	t := f.t
	message := strings.Repeat("x", 1<<20)
	require.Equal(t, message, f.letter(f.send(message)).Message)
}

// TestIDsOfEntriesThatAreNoTimesDoNotDecideWhatIsLate has a stream of its own: after an id of the far future Redis can
// make no better ones.
func TestIDsOfEntriesThatAreNoTimesDoNotDecideWhatIsLate(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	backend := testkit.NewBackend(t, testkit.Echo())
	config := testkit.OneBackend(backend.URL) + "queue: {dead_letters: openhqm-dead-letters}\n"
	process := onRedis(t, server, "all", config).Start()
	client := process.Client()

	server.Run("XADD", requestStream, "1-1", "payload",
		`{"correlation_id": "early", "payload": 1, "metadata": {"endpont": "elsewhere"}}`)
	require.Equal(t, "COMPLETED", foreignResult(t, client, "early").Status)
	require.Contains(t, process.Log.Text(), "metadata.endpont", "a member that is ignored is named")

	server.Run("XADD", requestStream, "9999999999999-0", "payload", `{"correlation_id": "late", "payload": 1}`)
	require.Equal(t, "COMPLETED", foreignResult(t, client, "late").Status)
	sent := time.Now()
	entry := publish(t, server, requestStream,
		`{"correlation_id": "after", "payload": 1, "metadata": {"endpoint": "unknown", "timeout": 2}}`)
	require.True(t, strings.HasPrefix(entry, "9999999999999-"), entry)
	require.Equal(t, "TIMEOUT", foreignResult(t, client, "after").Status)
	require.GreaterOrEqual(t, time.Since(sent), 2*time.Second)

	large := strings.Repeat("x", 512<<10)
	publish(t, server, requestStream, large)
	notice := awaitEntry(t, server, deadLetterStream, "message_url")
	require.Less(t, len(notice.payload), 1000, "what is large stays in the store")
	endWell(t, process)
}

// TestTheStreamOfResultsIsBounded has nobody who reads it.
func TestTheStreamOfResultsIsBounded(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	backend := testkit.NewBackend(t, testkit.Echo())
	process := onRedis(t, server, "all", testkit.OneBackend(backend.URL),
		"OPENHQM_QUEUE_RESPONSES="+responseStream, "OPENHQM_QUEUE_RESPONSES_MAX=100").Start()
	const sent = 600
	for i := range sent {
		publish(t, server, requestStream, fmt.Sprintf(`{"correlation_id": "n-%d", "payload": 1}`, i))
	}
	testkit.Until(t, "all are done and published", func() bool {
		return server.Run("EXISTS", responseStream) == "1" &&
			strings.Contains(server.Run("XINFO", "STREAM", responseStream), "entries-added\n"+strconv.Itoa(sent))
	})
	left, err := strconv.Atoi(server.Run("XLEN", responseStream))
	require.NoError(t, err)
	require.LessOrEqual(t, left, 300, "Redis removes whole nodes of 100 entries")
	require.GreaterOrEqual(t, left, 100)
	endWell(t, process)
}
