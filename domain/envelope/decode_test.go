package envelope_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

const notFieldValue = "has a character that is not allowed in a field value (RFC 9110 section 5.5)"

// entries writes n members "k0": value, "k1": value and so on.
func entries(n int, value string) string {
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, `,"k%d":%s`, i, value)
	}
	return list.String()[1:]
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const span = `must be a number of seconds, or a duration such as "90s", from 1ms to 100 years`
	const priority = "must be an integer from 0 to 9"
	metadata := func(members string) string { return `{"metadata":{` + members + `}}` }
	tests := []struct{ give, want string }{
		{``, "message: is not valid JSON in UTF-8"},
		{`{"payload":1`, "message: is not valid JSON in UTF-8"},
		{"{\"payload\":\"\xff\"}", "message: is not valid JSON in UTF-8"},
		{` [1]`, "message: must be a JSON object"},
		{`null`, "message: must be a JSON object"},
		{`{"payload":1,"payload":1}`, "payload: appears twice"},
		{`{"payload":1,"p\u0061yload":1}`, "payload: appears twice"},
		{metadata(`"endpoint":"a","endpoint":"b"`), "metadata.endpoint: appears twice"},
		{`{"payload":null,"body":""}`, "message: has more than one of payload, body and body_ref"},
		{`{"payload":1,"body_ref":"x"}`, "message: has more than one of payload, body and body_ref"},
		{`{"body":"","body_ref":"x"}`, "message: has more than one of payload, body and body_ref"},
		{`{"body":1}`, "body: must be a string"},
		{`{"body":"AA"}`, "body: is not base64 with padding (RFC 4648 section 4)"},
		{`{"body":"_-=="}`, "body: is not base64 with padding (RFC 4648 section 4)"},
		{`{"body_ref":"x"}`, "body_ref: cannot be used: the body must be in the message"},
		{`{"body_ref":"` + strings.Repeat("x", 257) + `"}`, "body_ref: is longer than 256 bytes"},
		{`{"timestamp":1}`, "timestamp: must be a string"},
		{`{"timestamp":"yesterday"}`, "timestamp: must be an RFC 3339 time"},
		{`{"timestamp":"0000-12-31T00:00:00Z"}`, "timestamp: must be an RFC 3339 time"},
		{`{"timestamp":"9999-12-31T23:00:00-01:00"}`, "timestamp: must be an RFC 3339 time"},
		{`{"headers":"x"}`, "headers: must be a JSON object"},
		{`{"headers":{"a b":"x"}}`, "headers: a name is not a token (RFC 9110 section 5.1)"},
		{`{"headers":{"":"x"}}`, "headers: a name is not a token (RFC 9110 section 5.1)"},
		{`{"headers":{"A":"secret\n"}}`, "headers: A " + notFieldValue},
		{`{"headers":{"A":["secret\u007f"]}}`, "headers: A " + notFieldValue},
		{`{"headers":{"A":1}}`, "headers: A is neither a string nor a list of strings"},
		{`{"headers":{"A":[["x"]]}}`, "headers: A is neither a string nor a list of strings"},
		{
			`{"headers":{"` + strings.Repeat("a", 200) + `":1}}`,
			"headers: " + strings.Repeat("a", 100) + " is neither a string nor a list of strings",
		},
		{`{"headers":{` + entries(1001, `""`) + `}}`, "headers: has more than 1000 fields or 65536 bytes"},
		{
			`{"headers":{"A":[""` + strings.Repeat(`,""`, 1000) + `]}}`,
			"headers: has more than 1000 fields or 65536 bytes",
		},
		{
			`{"headers":{"A":"` + strings.Repeat("x", 65536) + `"}}`,
			"headers: has more than 1000 fields or 65536 bytes",
		},
		{
			`{"payload":1,"headers":{` + entries(1000, `""`) + `}}`,
			"headers: has more than 1000 fields or 65536 bytes",
		},
		{`{"metadata":[]}`, "metadata: must be a JSON object"},
		{metadata(`"delay":-1`), "metadata.delay: " + strings.Replace(span, "1ms", "0s", 1)},
		{
			metadata(`"delay":5,"not_before":"2026-03-04T05:06:07Z"`),
			"metadata.not_before: cannot be combined with delay",
		},
		{metadata(`"endpoint":1`), "metadata.endpoint: must be a string"},
		{metadata(`"endpoint":"` + strings.Repeat("x", 129) + `"`), "metadata.endpoint: is longer than 128 bytes"},
		{metadata(`"method":"G T"`), "metadata.method: is not a token (RFC 9110 section 9.1)"},
		{metadata(`"method":"` + strings.Repeat("x", 33) + `"`), "metadata.method: is longer than 32 bytes"},
		{metadata(`"path":"a"`), `metadata.path: must begin with "/"`},
		{metadata(`"path":"/%2e%2E/"`), "metadata.path: must not have dot segments"},
		{metadata(`"path":"/` + strings.Repeat("x", 8192) + `"`), "metadata.path: is longer than 8192 bytes"},
		{metadata(`"query":"a b"`), "metadata.query: must be percent-encoded (RFC 3986 section 3.4)"},
		{metadata(`"query":"` + strings.Repeat("x", 8193) + `"`), "metadata.query: is longer than 8192 bytes"},
		{metadata(`"content_type":"a\u0000"`), "metadata.content_type: " + notFieldValue},
		{metadata(`"traceparent":"a\r\nb: c"`), "metadata.traceparent: " + notFieldValue},
		{metadata(`"tracestate":"` + strings.Repeat("x", 8193) + `"`), "metadata.tracestate: is longer than 8192 bytes"},
		{metadata(`"priority":10`), "metadata.priority: " + priority},
		{metadata(`"priority":-1`), "metadata.priority: " + priority},
		{metadata(`"priority":"5"`), "metadata.priority: " + priority},
		{metadata(`"priority":5.0`), "metadata.priority: " + priority},
		{metadata(`"priority":"urgent"`), "metadata.priority: " + priority},
		{metadata(`"priority":"High"`), "metadata.priority: " + priority},
		{metadata(`"retry_count":-1`), "metadata.retry_count: must be an integer from 0 to 1000000"},
		{metadata(`"max_attempts":1001`), "metadata.max_attempts: must be an integer from 0 to 1000"},
		{metadata(`"timeout":0`), "metadata.timeout: " + span},
		{metadata(`"timeout":0.0004`), "metadata.timeout: " + span},
		{metadata(`"timeout":"499us"`), "metadata.timeout: " + span},
		{metadata(`"timeout":-1`), "metadata.timeout: " + span},
		{metadata(`"timeout":1e400`), "metadata.timeout: " + span},
		{metadata(`"timeout":3153600001`), "metadata.timeout: " + span},
		{metadata(`"timeout":"876001h"`), "metadata.timeout: " + span},
		{metadata(`"timeout":"90"`), "metadata.timeout: " + span},
		{metadata(`"timeout":true`), "metadata.timeout: " + span},
		{metadata(`"not_before":"2026-03-04"`), "metadata.not_before: must be an RFC 3339 time"},
		{metadata(`"not_before":"9999-12-31T23:59:59.9999Z"`), "metadata.not_before: must be an RFC 3339 time"},
		{metadata(`"labels":[]`), "metadata.labels: must be a JSON object"},
		{metadata(`"labels":{"a":1}`), "metadata.labels: a value must be a string"},
		{metadata(`"labels":{"a":"x","a":"y"}`), "metadata.labels: a key appears twice"},
		{metadata(`"labels":{` + entries(65, `""`) + `}`), "metadata.labels: has more than 64 entries"},
		{
			metadata(`"labels":{"` + strings.Repeat("a", 129) + `":""}`),
			"metadata.labels: a key is longer than 128 bytes",
		},
		{
			metadata(`"labels":{"a":"` + strings.Repeat("x", 1025) + `"}`),
			"metadata.labels: a value is longer than 1024 bytes",
		},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			got, err := envelope.Decode([]byte(tt.give), arrived, limit)
			require.EqualError(t, err, tt.want)
			invalid := new(domain.Invalid)
			require.ErrorAs(t, err, &invalid)
			require.Zero(t, got)
		})
	}
}

func TestDecodeAcceptsValuesAtTheirLimits(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]string{
		"fields":   `{"headers":{` + entries(1000, `""`) + `}}`,
		"header":   `{"headers":{"A":"` + strings.Repeat("x", 65535) + `"}}`,
		"labels":   `{"metadata":{"labels":{` + entries(64, `"`+strings.Repeat("x", 1024)+`"`) + `}}}`,
		"priority": `{"metadata":{"priority":9}}`,
		"timeout":  `{"metadata":{"timeout":3153600000}}`,
		"target":   `{"metadata":{"path":"/` + strings.Repeat("x", 8191) + `","query":"` + strings.Repeat("x", 8192) + `"}}`,
		"the last": `{"timestamp":"9999-12-31T23:59:59.999Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := envelope.Decode([]byte(give), arrived, len(give))
			require.NoError(t, err)
			_, err = envelope.Decode([]byte(give), arrived, len(give)-1)
			require.EqualError(t, err, fmt.Sprintf("message: is longer than %d bytes", len(give)-1))
		})
	}
}

func TestDecodeLeavesAnInvalidIDEmpty(t *testing.T) {
	t.Parallel()
	for _, give := range []string{
		`{}`, `{"correlation_id":null}`, `{"correlation_id":""}`, `{"correlation_id":7}`, `{"correlation_id":["x"]}`,
		`{"correlation_id":"a/b"}`, `{"correlation_id":"` + strings.Repeat("x", 129) + `"}`,
	} {
		got, err := envelope.Decode([]byte(give), arrived, limit)
		require.NoError(t, err)
		require.Empty(t, got.Request.ID, give)
		result, err := envelope.DecodeResult([]byte(give[:len(give)-1]+comma(give)+`"status":"CANCELLED"}`), arrived, limit)
		require.NoError(t, err)
		require.Empty(t, result.ID, give)
	}
}

// comma is what goes before a further member.
func comma(object string) string {
	if object == "{}" {
		return ""
	}
	return ","
}

func TestDecodeTimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give, want string // of timestamp, as RFC 3339 with nanoseconds
	}{
		{"2026-03-04T05:06:07Z", "2026-03-04T05:06:07Z"},
		{"2026-03-04T05:06:07.8919+01:30", "2026-03-04T03:36:07.891Z"},
		{"2026-03-04T05:06:07", "2026-03-04T05:06:07Z"},
		{"2026-03-04T05:06:07.5", "2026-03-04T05:06:07.5Z"},
		{"0001-01-01T00:00:00Z", arrived.Format(time.RFC3339Nano)},
	}
	for _, tt := range tests {
		got, err := envelope.Decode([]byte(`{"timestamp":"`+tt.give+`"}`), arrived, limit)
		require.NoError(t, err)
		require.Equal(t, tt.want, got.Request.SubmittedAt.Format(time.RFC3339Nano))
		require.Zero(t, got.Request.Deadline)
	}
	got, err := envelope.Decode([]byte(`{"metadata":{"not_before":"2026-03-04T05:06:07.0001Z"}}`), arrived, limit)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 4, 5, 6, 7, 1_000_000, time.UTC), got.Request.NotBefore, "never too early")
}

func TestDecodeTimeouts(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]time.Duration{
		`90`: 90 * time.Second, `0.25`: 250 * time.Millisecond, `1e2`: 100 * time.Second, `"90s"`: 90 * time.Second,
		`"1h30m"`: 90 * time.Minute, `"500us"`: time.Millisecond, `0.0014`: time.Millisecond,
		`259200.123`: 259200123 * time.Millisecond, `4295645.440`: 4295645440 * time.Millisecond,
	} {
		got, err := envelope.Decode([]byte(`{"metadata":{"timeout":`+give+`}}`), arrived, limit)
		require.NoError(t, err)
		require.Equal(t, want, got.Request.Deadline.Sub(arrived), give)
	}
}

func TestDecodeHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, give string
		want       domain.Header
	}{
		{"none", `{}`, domain.Header{}},
		{"one field in two spellings", `{"headers":{"x-a":"1","X-A":["2","3"]}}`, domain.Header{"X-A": {"1", "2", "3"}}},
		{"an empty list is no field", `{"headers":{"X-A":[]}}`, domain.Header{}},
		{
			"headers go before content_type", `{"body":"","headers":{"content-type":"a/b"},"metadata":{"content_type":"c/d"}}`,
			domain.Header{"Content-Type": {"a/b"}},
		},
		{
			"content_type goes before JSON", `{"payload":1,"metadata":{"content_type":"c/d"}}`,
			domain.Header{"Content-Type": {"c/d"}},
		},
		{"bytes have no type of their own", `{"body":""}`, domain.Header{}},
		{
			"a tracestate stays with its traceparent",
			`{"headers":{"Traceparent":"a"},"metadata":{"traceparent":"b","tracestate":"c=d"}}`,
			domain.Header{"Traceparent": {"a"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := envelope.Decode([]byte(tt.give), arrived, limit)
			require.NoError(t, err)
			require.Equal(t, tt.want, got.Request.Header)
		})
	}
}

// TestDecodeReadsEscapedBase64 has the slash as PHP writes it.
func TestDecodeReadsEscapedBase64(t *testing.T) {
	t.Parallel()
	got, err := envelope.Decode([]byte(`{"body":"\/\/\/\u002f"}`), arrived, limit)
	require.NoError(t, err)
	require.Equal(t, []byte{0xff, 0xff, 0xff}, got.Request.Body)
}

func TestDecodeSlicesThePayloadOut(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`null`, `true`, `-0.0`, `1e400`, `"<&>\u2028` + "\u2028" + `\ud800"`, `[]`, `{}`, `{ "a" :1,"a"` + "\n\t" + `: "}" }`,
		`1234567890123456789012345678901234567890`, `[[[{"a":["\\"]}]]]`,
	} {
		for _, format := range []string{`{"payload":%s}`, " {\r\n\t\"payload\" : %s , \"x\":[{}] } "} {
			got, err := envelope.Decode(fmt.Appendf(nil, format, payload), arrived, limit)
			require.NoError(t, err)
			require.Equal(t, payload, string(got.Request.Body))
		}
	}
}
