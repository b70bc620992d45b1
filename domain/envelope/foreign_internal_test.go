package envelope

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestForeignTimesAreBounded(t *testing.T) {
	t.Parallel()
	arrived := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const maxAge = 10 * time.Hour
	for _, tt := range []struct {
		name                string
		submitted, deadline time.Time
		wantSubmitted       time.Time
		wantDeadline        time.Time
	}{
		{"no deadline", arrived.Add(-time.Hour), time.Time{}, arrived.Add(-time.Hour), arrived.Add(9 * time.Hour)},
		{"its own deadline", arrived, arrived.Add(time.Hour), arrived, arrived.Add(time.Hour)},
		{"a deadline too far", arrived, arrived.Add(11 * time.Hour), arrived, arrived.Add(maxAge)},
		{"from the future", arrived.Add(time.Second), time.Time{}, arrived, arrived.Add(maxAge)},
		{
			"from long ago", arrived.Add(-11 * time.Hour), arrived.Add(-10 * time.Hour),
			arrived.Add(-11 * time.Hour), arrived.Add(-10 * time.Hour),
		},
		{
			"from years ago", arrived.AddDate(-10, 0, 0),
			time.Time{},
			arrived.AddDate(-10, 0, 0), arrived.AddDate(-10, 0, 0).Add(maxAge),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := Reader{MaxAge: maxAge}
			req := domain.Request{SubmittedAt: tt.submitted, Deadline: tt.deadline}
			r.boundTimes(&req, arrived)
			require.Equal(t, tt.wantSubmitted, req.SubmittedAt)
			require.Equal(t, tt.wantDeadline, req.Deadline)
		})
	}
}

func TestReadResultDoesWhatDecodingLeavesToItsCaller(t *testing.T) {
	t.Parallel()
	const limit = 1 << 10
	for _, tt := range []struct {
		give       string
		wantID     domain.ID
		wantReason domain.Reason
		wantErr    string
	}{
		{`{"correlation_id":"x","status":"COMPLETED"}`, "x", "", ""},
		{`{"correlation_id":"x","status":"CANCELLED"}`, "x", "", ""},
		{`{"correlation_id":"x","status":"FAILED"}`, "x", domain.ReasonRejected, ""},
		{`{"correlation_id":"x","status":"TIMEOUT"}`, "x", domain.ReasonDeadline, ""},
		{`{"correlation_id":"no id","status":"COMPLETED"}`, "", "", "result: the result names no request"},
		{`{"correlation_id":"x","status":"COMPLETED","result_url":"https://a/"}`, "x", "", "result: result_url cannot"},
		{`{"correlation_id":"x","status":"completed"}`, "x", "", "result: status: must be COMPLETED"},
		{`{"correlation_id":"x","status":"COMPLETED","status_code":"200"}`, "x", "", "result: status_code: must be"},
		{`{"status":1,"correlation_id":"x"}`, "x", "", "result: status: must be a string"},
		{`{"correlation_id":"x"}`, "x", "", "result: status: must be COMPLETED"},
		{`{"correlation_id":"x","status":"PROCESSING"}`, "", "", "result: status: must be COMPLETED"},
		{`{"status":"PENDING","correlation_id":"x"}`, "", "", "result: status: must be COMPLETED"},
		{`{"correlation_id":"x","correlation_id":"y","status":"done"}`, "", "", "result: correlation_id: appears twice"},
		{`["x"]`, "", "", "result: message: must be a JSON object"},
		{`oops`, "", "", "result: message: is not valid JSON"},
	} {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			got, err := ReadResult([]byte(tt.give), time.Unix(1, 0), limit)
			if tt.wantErr != "" {
				require.ErrorContains(t, err, tt.wantErr)
				require.Equal(t, Result{ID: tt.wantID}, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.wantID, got.ID)
			require.Equal(t, tt.wantReason, got.Result.Reason)
		})
	}
}

// readRequest reads a message as one of another program that came at noon.
func readRequest(t *testing.T, message string) (Message, error) {
	t.Helper()
	r := Reader{DefaultEndpoint: "standard", MaxAge: time.Hour, MaxSize: 1 << 10}
	return r.Read([]byte(message), time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), "nameless")
}

func TestOnlyMessagesThatSayWhatToSendAreRequests(t *testing.T) {
	t.Parallel()
	const noRequest, noBody = "is no request", "only members that are unknown"
	for name, tt := range map[string]struct{ give, want string }{
		"nothing":          {`{}`, noRequest},
		"an id alone":      {`{"correlation_id":"x"}`, noRequest},
		"headers alone":    {`{"headers":{"A":"b"},"timestamp":"2026-01-02T03:04:05Z"}`, noRequest},
		"metadata alone":   {`{"metadata":{"priority":9,"labels":{"a":"b"},"traceparent":"00-a"}}`, noRequest},
		"an SNS envelope":  {`{"Type":"Notification","MessageId":"1","TopicArn":"arn","Message":"{}"}`, noRequest},
		"EventBridge":      {`{"version":"0","id":"1","detail-type":"a","source":"b","detail":{}}`, noRequest},
		"an S3 event":      {`{"Records":[{"eventSource":"aws:s3"}]}`, noRequest},
		"a CloudEvent":     {`{"specversion":"1.0","id":"1","source":"/","type":"a","data":{}}`, noRequest},
		"PascalCase":       {`{"CorrelationId":"x","Payload":{},"Metadata":{"Endpoint":"a"}}`, noRequest},
		"data, not a body": {`{"correlation_id":"t","data":{}}`, noRequest},
		"a result of ours": {`{"correlation_id":"x","status":"COMPLETED","status_code":200,"result":{}}`, noRequest},
		"a dead letter":    {`{"message":{"payload":1},"correlation_id":"x","error":"e","attempts":1}`, noRequest},
		"a body of another name beside a target": {
			`{"paylod":{},"metadata":{"endpoint":"orders","method":"PUT"}}`, noBody + ` (it has ["paylod"])`,
		},
		"a target alone":        {`{"metadata":{"endpoint":"orders"}}`, ""},
		"a path alone":          {`{"metadata":{"path":"/refresh"}}`, ""},
		"a GET with more":       {`{"version":2,"metadata":{"endpoint":"orders","method":"GET"}}`, ""},
		"a target, misspelt id": {`{"correlation_id":"a b","metadata":{"endpoint":"orders"}}`, ""},
		"more in metadata":      {`{"metadata":{"endpoint":"orders","tenant":1}}`, ""},
		"a payload with more":   {`{"payload":null,"Type":"x"}`, ""},
		"a body":                {`{"body":""}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := readRequest(t, tt.give)
			require.NotEmpty(t, m.Request.ID)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
			require.Empty(t, m.Request.Endpoint, "none is charged with it")
		})
	}
}

func TestAnIDThatCanBeReadIsKeptAlthoughTheRestIsBad(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]domain.ID{
		`{"correlation_id":"order-1","payload":1,"metadata":{"priority":99}}`:         "order-1",
		"\n" + `{"metadata":{"priority":99},"correlation_id":"order-1"}`:              "order-1",
		`{"correlation_id":"order-1","data":{}}`:                                      "order-1",
		`{"correlation_id":"order-1","payload":"` + strings.Repeat("x", 1<<10) + `"}`: "order-1",
		`{"correlation_id":"order-1","payload":1,"body":""}`:                          "order-1",
		`{"correlation_id":"order-1","payload":1,}`:                                   "nameless",
		`{"correlation_id":"a","correlation_id":"b"}`:                                 "nameless",
		`{"correlation_id":".."}`:                                                     "nameless",
		`{"correlation_id":7}`:                                                        "nameless",
		`["correlation_id"]`:                                                          "nameless",
		``:                                                                            "nameless",
	} {
		m, err := readRequest(t, give)
		require.Error(t, err, give)
		require.Equal(t, want, m.Request.ID, give)
		require.False(t, m.Request.Deadline.IsZero())
	}
}

func TestMembersThatAreIgnoredAreNamed(t *testing.T) {
	t.Parallel()
	m, err := readRequest(t, `{"payload":1,"correlation_id":"/","Priority":3,"metadata":{"endpont":"orders"}}`)
	require.NoError(t, err)
	require.Equal(t, []string{"correlation_id", "Priority", "metadata.endpont"}, m.Ignored)
	many := `{"payload":1`
	for i := range 20 {
		many += fmt.Sprintf(`,"%d%s":0,"%d%s":1`, i, strings.Repeat("x", 70), i, strings.Repeat("x", 70))
	}
	m, err = readRequest(t, many+"}")
	require.Error(t, err, "the limit of a message")
	require.Empty(t, m.Ignored)
	m, err = Reader{DefaultEndpoint: "a", MaxAge: time.Hour, MaxSize: 1 << 20}.Read([]byte(many+"}"), time.Unix(1, 0), "n")
	require.NoError(t, err)
	require.Len(t, m.Ignored, 8)
	require.Len(t, m.Ignored[7], 64)
	require.Equal(t, "7", m.Ignored[7][:1], "each once")
}

func TestADelayCountsFromTheSubmission(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for give, want := range map[string]time.Time{
		`{"payload":1,"metadata":{"delay":90}}`:                                       noon.Add(90 * time.Second),
		`{"payload":1,"metadata":{"delay":"1m30s"}}`:                                  noon.Add(90 * time.Second),
		`{"payload":1,"metadata":{"delay":0}}`:                                        {},
		`{"payload":1,"metadata":{"delay":null}}`:                                     {},
		`{"payload":1,"timestamp":"2026-01-02T11:59:00Z","metadata":{"delay":90}}`:    noon.Add(30 * time.Second),
		`{"payload":1,"timestamp":"2036-01-02T11:59:00Z","metadata":{"delay":90}}`:    noon.Add(90 * time.Second),
		`{"payload":1,"metadata":{"not_before":"2026-01-02T13:00:00Z","delay":null}}`: noon.Add(time.Hour),
	} {
		m, err := readRequest(t, give)
		require.NoError(t, err, give)
		require.Equal(t, want, m.Request.NotBefore, give)
	}
}
