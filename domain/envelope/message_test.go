package envelope_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

func TestAppendKeepsBodies(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 9990) + strings.Repeat("]", 9990)
	tests := []struct {
		name, contentType, body, want string // in the document
	}{
		{"JSON", "application/json", `{ "a":"<&>"}`, `"payload":{ "a":"<&>"},`},
		{"JSON with a parameter", "Application/JSON; charset=utf-8", `1e400`, `"payload":1e400,`},
		{"a JSON type", "application/problem+json", `"\u2028"`, `"payload":"\u2028",`},
		{"JSON with space around it", "application/json", "{}\n", `"body":"e30K",`},
		{"not quite JSON", "application/json", `{`, `"body":"ew==",`},
		{"JSON that is not UTF-8", "application/json", "\"\xff\"", `"body":"Iv8i",`},
		{"JSON called otherwise", "text/plain", `1`, `"body":"MQ==",`},
		{"JSON without a type", "", `1`, `"body":"MQ==",`},
		{"JSON as deep as it may be", "application/json", deep, `"payload":[[`},
		{"JSON too deep to be wrapped", "application/json", "[" + deep + "]", `"body":"W1tb`},
		{"brackets in a string", "application/json", `"` + deep + `[\"["`, `"payload":"[[`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := envelope.Message{Request: domain.Request{Body: []byte(tt.body), Header: domain.Header{}}}
			if tt.contentType != "" {
				m.Request.Header.Set("Content-Type", tt.contentType)
			}
			document := envelope.Append(nil, &m)
			require.Contains(t, string(document), tt.want)
			got, err := envelope.Decode(document, time.Time{}, limit)
			require.NoError(t, err)
			require.Equal(t, m, got)
		})
	}
}

func TestAppendLeavesOutInvalidFields(t *testing.T) {
	t.Parallel()
	m := envelope.Message{Request: domain.Request{Header: domain.Header{
		"A b": {"x"}, "": {"x"}, "X-Control": {"ok", "\x01"}, "Content-Type": {"a\x00"}, "X-Latin": {"caf\xe9"},
		"X-Tab": {"a\tb"}, "Traceparent": {strings.Repeat("x", 8193)},
	}}}
	document := envelope.Append(nil, &m)
	got, err := envelope.Decode(document, arrived, limit)
	require.NoError(t, err)
	require.Equal(t, domain.Header{
		"X-Latin": {"caf\uFFFD"}, "X-Tab": {"a\tb"}, "Traceparent": {strings.Repeat("x", 8193)},
	}, got.Request.Header)
}

func TestAppendRoundsTimes(t *testing.T) {
	t.Parallel()
	m := envelope.Message{Request: domain.Request{
		SubmittedAt: submitted.Add(1999 * time.Microsecond),
		NotBefore:   submitted.Add(time.Second + time.Microsecond),
		Deadline:    submitted.Add(3 * time.Second),
	}}
	got, err := envelope.Decode(envelope.Append(nil, &m), arrived, limit)
	require.NoError(t, err)
	require.Equal(t, submitted.Add(time.Millisecond), got.Request.SubmittedAt)
	require.Equal(t, submitted.Add(1001*time.Millisecond), got.Request.NotBefore)
	require.Equal(t, submitted.Add(3*time.Second), got.Request.Deadline)
}

// TestAppendWritesADeadlineThatIsPast makes it the shortest there is: a timeout of 0 would be undecodable.
func TestAppendWritesADeadlineThatIsPast(t *testing.T) {
	t.Parallel()
	for _, deadline := range []time.Time{submitted, submitted.Add(-time.Hour)} {
		m := envelope.Message{Request: domain.Request{SubmittedAt: submitted, Deadline: deadline}}
		got, err := envelope.Decode(envelope.Append(nil, &m), arrived, limit)
		require.NoError(t, err)
		require.Equal(t, submitted.Add(time.Millisecond), got.Request.Deadline)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	m := envelope.Message{Request: domain.Request{ID: "x"}}
	for _, dst := range [][]byte{[]byte("before"), append(make([]byte, 0, 4096), "before"...)} {
		require.Equal(t, `before{"correlation_id":"x","metadata":{}}`, string(envelope.Append(dst, &m)))
	}
}

func TestAppendLeavesTheStoresFieldsOut(t *testing.T) {
	t.Parallel()
	m := envelope.Message{Request: domain.Request{
		Owner: "somebody", Idempotency: &domain.Idempotency{Key: "somekey"}, ResentFrom: "somewhere",
	}}
	document := string(envelope.Append(nil, &m))
	require.NotContains(t, document, "some")
}

// TestMessageRoundTrip holds that nothing is lost on the way, whatever the request.
func TestMessageRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMessage(t)
		document := envelope.Append(nil, &m)
		got, err := envelope.Decode(document, arrived, limit)
		require.NoError(t, err)
		require.Equal(t, m, got)
	})
}

func anyMessage(t *rapid.T) envelope.Message {
	m := envelope.Message{
		RetryCount: rapid.IntRange(0, 1000).Draw(t, "retry count"),
		Request: domain.Request{
			ID:          anyID(t),
			Endpoint:    rapid.StringN(0, 32, 128).Draw(t, "endpoint"),
			Method:      rapid.StringMatching(`[!#$%&'*+.^_|~0-9A-Za-z-]{0,32}`).Draw(t, "method"),
			Path:        rapid.SampledFrom([]string{"", "/", "/a%20b/%2F", "/ä\"\\"}).Draw(t, "path"),
			Query:       rapid.SampledFrom([]string{"", "a=1&b=%22", "?=\"\\ä"}).Draw(t, "query"),
			Header:      anyHeader(t),
			Priority:    rapid.IntRange(0, 9).Draw(t, "priority"),
			MaxAttempts: rapid.IntRange(0, 1000).Draw(t, "max attempts"),
			SubmittedAt: anyTime(t, "submitted"),
		},
	}
	r := &m.Request
	if labels := rapid.MapOfN(rapid.StringN(0, 32, 128), rapid.String(), 0, 64).Draw(t, "labels"); len(labels) > 0 {
		r.Labels = labels
	}
	if rapid.Bool().Draw(t, "has a deadline") {
		r.Deadline = r.SubmittedAt.Add(time.Duration(rapid.Int64Range(1, 1e11).Draw(t, "timeout")) * time.Millisecond)
	}
	if rapid.Bool().Draw(t, "is delayed") {
		r.NotBefore = anyTime(t, "not before")
	}
	if rapid.Bool().Draw(t, "has a body") {
		r.Body = anyBody(t)
		if r.Body == nil {
			r.Body = []byte{}
		}
	}
	return m
}

func anyID(t *rapid.T) domain.ID {
	id := rapid.StringMatching(`[A-Za-z0-9._-]{1,128}`).Draw(t, "id")
	if id == "." || id == ".." {
		id = "..."
	}
	return domain.ID(id)
}

func anyHeader(t *rapid.T) domain.Header {
	h := make(domain.Header)
	name := rapid.SampledFrom([]string{"X-A", "x-b", "Traceparent", "Tracestate", "!#$%&'*+.^_`|~09"})
	value := rapid.StringMatching(`[\t -~äöü€]{0,20}`)
	for range rapid.IntRange(0, 8).Draw(t, "lines") {
		h.Add(name.Draw(t, "name"), value.Draw(t, "value"))
	}
	if contentType := anyContentType().Draw(t, "content type"); contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return h
}

func anyContentType() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "application/json", "application/json; charset=utf-8", "a/b+json", "text/plain"})
}

// anyBody returns JSON and what is not, with and without space around it.
func anyBody(t *rapid.T) []byte {
	return rapid.OneOf(
		rapid.SliceOf(rapid.Byte()),
		rapid.Map(rapid.StringMatching(`[ \n]?(\{ "a" ?: (1e400|"<&>\\u2028"|\[\]), "a":null\}|"\\""|0)[ \n]?`), toBytes),
		rapid.Map(rapid.String(), toBytes),
	).Draw(t, "body")
}

func toBytes(text string) []byte { return []byte(text) }

func anyTime(t *rapid.T, label string) time.Time {
	return time.UnixMilli(rapid.Int64Range(0, 4102444800000).Draw(t, label)).UTC()
}
