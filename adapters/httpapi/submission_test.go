package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

func TestPayloadKeepsItsBytes(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`{}`, `[]`, `""`, `null`, `true`, `false`, `0`, `-0.0`, `1E400`, `1e-400`,
		`1234567890123456789012345678901234567890`,
		`{ "spaced"  :	[ 1 ,2,	3 ] , "b":{}}`,
		"{\n  \"a\": 1,\r\n  \"b\": [\n  ]\n}",
		`{"html":"<a href='x'>&amp;</a>"}`,
		"{\"sep\":\"\u2028\u2029\"}",
		`{"escaped":"\u2028\u003c\/\"\\"}`,
		`{"twice":1,"twice":2,"payload":3,"metadata":{"endpoint":"inner"}}`,
		"{\"not utf-8\":\"\xff\xfe\xc3\x28\"}",
		`"\\"`, `"\\\""`, `"}]{[,:"`, `[[[[]]]]`, `[{"a":[{"b":"]}"}]}]`,
		"\"nul \\u0000 and \x7f\"",
		`"\ud800"`,
	} {
		for _, form := range []string{
			`{"payload":%s}`, "{\"payload\"\t: \n%s\r\n}", `{"metadata":{},"payload":%s,"headers":{}}`,
			`{"headers":{"a":"b"}, "payload" :%s , "metadata" : {"endpoint":"x"} }`, `{"\u0070ayload":%s}`,
		} {
			document := strings.Replace(form, "%s", payload, 1)
			s, err := parseSubmission([]byte(document))
			require.NoError(t, err, document)
			require.Equal(t, payload, string(s.Body), document)
			require.Equal(t, jsonType, s.Header.Get("Content-Type"))
		}
	}
}

func TestSubmissionWithoutPayloadHasNoBody(t *testing.T) {
	t.Parallel()
	s, err := parseSubmission([]byte(` {"metadata": {"method": "GET"}} `))
	require.NoError(t, err)
	require.Nil(t, s.Body)
	require.False(t, s.Header.Has("Content-Type"), "there is no content to have a type")
}

func TestSubmissionReadsEveryField(t *testing.T) {
	t.Parallel()
	s, err := parseSubmission([]byte(`{
		"payload": 1,
		"headers": {"x-one": "1", "X-Two": ["a", "", "a"], "content-type": "text/plain"},
		"metadata": {
			"endpoint": "orders", "method": "PATCH", "path": "/v1/%C3%A4", "query": "a=b&c", "timeout": "90s",
			"priority": 9, "delay": 1.5, "max_attempts": 7, "labels": {"team": "b\u00e4r", "": ""}
		}
	}`))
	require.NoError(t, err)
	require.Equal(t, ports.Submission{
		Endpoint: "orders", Method: "PATCH", Path: "/v1/%C3%A4", Query: "a=b&c",
		Header: domain.Header{"X-One": {"1"}, "X-Two": {"a", "", "a"}, "Content-Type": {"text/plain"}},
		Body:   []byte("1"), Priority: 9, Labels: map[string]string{"team": "bär", "": ""},
		Timeout: 90 * time.Second, Delay: 1500 * time.Millisecond, MaxAttempts: 7,
	}, s)
}

func TestMetadataThatIsAccepted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	labels := make(map[string]string)
	for i := range envelope.MaxLabels {
		key := strings.Repeat("k", envelope.MaxLabelKey-2) + fmt.Sprintf("%02d", i)
		labels[key] = strings.Repeat("v", envelope.MaxLabelValue)
	}
	manyLabels, err := json.Marshal(labels)
	require.NoError(t, err)
	for _, tt := range []struct {
		give string
		want ports.Submission
	}{
		{`{}`, ports.Submission{}},
		{`{"endpoint": ""}`, ports.Submission{}},
		{`{"endpoint": "\u006frders"}`, ports.Submission{Endpoint: "orders"}},
		{`{"method": "get"}`, ports.Submission{Method: "get"}},
		{`{"method": "M-SEARCH"}`, ports.Submission{Method: "M-SEARCH"}},
		{`{"path": "", "query": ""}`, ports.Submission{}},
		{`{"query": "a=?"}`, ports.Submission{Query: "a=?"}},
		{`{"timeout": 30}`, ports.Submission{Timeout: 30 * time.Second}},
		{`{"timeout": 0.3}`, ports.Submission{Timeout: 300 * time.Millisecond}},
		{`{"timeout": 1e2}`, ports.Submission{Timeout: 100 * time.Second}},
		{`{"timeout": "1h30m"}`, ports.Submission{Timeout: 90 * time.Minute}},
		{`{"timeout": 31536000}`, ports.Submission{Timeout: 365 * 24 * time.Hour}},
		{`{"priority": 0}`, ports.Submission{}},
		{`{"priority": 9}`, ports.Submission{Priority: 9}},
		{`{"priority": "high"}`, ports.Submission{Priority: 9}},
		{`{"priority": "normal"}`, ports.Submission{}},
		{`{"priority": "low"}`, ports.Submission{}},
		{`{"delay": 0}`, ports.Submission{}},
		{`{"delay": "0s", "not_before": "2026-01-02T03:04:05Z"}`, ports.Submission{NotBefore: at}},
		{`{"delay": "250ms"}`, ports.Submission{Delay: 250 * time.Millisecond}},
		{`{"not_before": "2026-01-02T03:04:05.678Z"}`, ports.Submission{NotBefore: at.Add(678 * time.Millisecond)}},
		{`{"max_attempts": 1}`, ports.Submission{MaxAttempts: 1}},
		{`{"max_attempts": 1000}`, ports.Submission{MaxAttempts: 1000}},
		{`{"labels": {}}`, ports.Submission{Labels: map[string]string{}}},
		{`{"labels": ` + string(manyLabels) + `}`, ports.Submission{Labels: labels}},
	} {
		s, err := parseSubmission([]byte(`{"metadata":` + tt.give + `}`))
		require.NoError(t, err, tt.give)
		tt.want.Header = domain.Header{}
		require.Equal(t, tt.want, s, tt.give)
	}
}

func TestNotBeforeKeepsTheMoment(t *testing.T) {
	t.Parallel()
	s, err := parseSubmission([]byte(`{"metadata":{"not_before":"2026-01-02T03:04:05+02:00"}}`))
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 1, 2, 1, 4, 5, 0, time.UTC), s.NotBefore.UTC())
}

func TestSubmissionThatIsRefusedNamesTheField(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ give, want string }{
		{`{"payload":1,"metadata":{"path":"/x\ud83d"}}`, "metadata.path"},
		{`{"payload":1,"metadata":{"query":"\ude00\ud83d"}}`, "metadata.query"},
		{`{"payload":1,"metadata":{"labels":{"a":"\ud83d"}}}`, "metadata.labels.a"},
		{`{"payload":1,"metadata":{"labels":{"\ud83d":"a"}}}`, "metadata.labels"},
		{`{"payload":1,"headers":{"X-A":["a","\udfff"]}}`, "headers.X-A"},
		{``, "body"},
		{` `, "body"},
		{`{`, "body"},
		{`{"payload":1}x`, "body"},
		{`{"payload":1}{}`, "body"},
		{`{"payload":01}`, "body"},
		{`{"payload":"` + "\n" + `"}`, "body"},
		{`{"payload":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, "body"},
		{`null`, "body"},
		{`[]`, "body"},
		{`"payload"`, "body"},
		{`1`, "body"},
		{"{\"\xff\":1}", "body"},
		{`{"Payload":1}`, "Payload"},
		{`{"paylaod":1}`, "paylaod"},
		{`{"payload":1,"payload":1}`, "payload"},
		{`{"payload":1,"p\u0061yload":1}`, "payload"},
		{`{"metadata":{},"metadata":{}}`, "metadata"},
		{`{"` + strings.Repeat("k", 10_000) + `":1}`, strings.Repeat("k", maxShownKey) + "..."},

		{`{"metadata":null}`, "metadata"},
		{`{"metadata":"x"}`, "metadata"},
		{`{"metadata":{"tiemout":1}}`, "metadata.tiemout"},
		{`{"metadata":{"timeout":1,"timeout":1}}`, "metadata.timeout"},

		{`{"headers":[]}`, "headers"},
		{`{"headers":{"X-A":1}}`, "headers.X-A"},
		{`{"headers":{"X-A":null}}`, "headers.X-A"},
		{`{"headers":{"X-A":{"b":"c"}}}`, "headers.X-A"},
		{`{"headers":{"X-A":["b",1]}}`, "headers.X-A"},
		{`{"headers":{"X-A":[ ]}}`, "headers.X-A"},
		{`{"headers":{"X-A":"1","x-a":"2"}}`, "headers.x-a"},
		{`{"headers":{"X-A":"1","X-A":"2"}}`, "headers.X-A"},
		{`{"headers":{"":"1"}}`, `headers.""`},
		{`{"":1}`, `""`},
		{`{"headers":{"X A":"1"}}`, "headers.X A"},
		{`{"headers":{"X:A":"1"}}`, "headers.X:A"},
		{`{"headers":{"X-Ä":"1"}}`, "headers.X-Ä"},
		{`{"headers":{"X-A":"1\r\nX-B: 2"}}`, "headers.X-A"},
		{`{"headers":{"X-A":"\u0000"}}`, "headers.X-A"},
		{"{\"headers\":{\"X-A\":\"\xff\"}}", "headers.X-A"},
		{`{"headers":{"X-A":"` + strings.Repeat("v", envelope.MaxHeaderBytes) + `"}}`, "headers"},
		{`{"headers":{"X-A":["` + strings.Repeat(`","`, envelope.MaxHeaderFields) + `"]}}`, "headers"},
	} {
		requireInvalid(t, tt.give, tt.want)
	}
}

func TestMetadataThatIsRefusedNamesTheField(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	manyLabels := make([]string, envelope.MaxLabels+1)
	for i := range manyLabels {
		manyLabels[i] = fmt.Sprintf(`"%d":""`, i)
	}
	for field, values := range map[string][]string{
		"endpoint": {`null`, `1`, `["orders"]`, long(envelope.MaxEndpoint + 1), "\"\xff\""},
		"method":   {`""`, `"GET "`, `"GE T"`, `"G\u0000"`, `"ÄT"`, long(envelope.MaxMethod + 1), `1`},
		"path":     {`{}`, long(envelope.MaxTarget + 1)},
		"query":    {`"?a=b"`, `1`, long(envelope.MaxTarget + 1)},
		"timeout": {
			`0`, `"0s"`, `-1`, `"-1s"`, `"90"`, `"soon"`, `""`, `true`, `[1]`, `1e400`, `9223372036854775807`,
			`"9999999999999h"`, `1e-12`, long(maxTextShort + 1),
		},
		"priority":     {`-1`, `10`, `5.0`, `"5"`, `"urgent"`, `null`, `99999999999999999999`},
		"delay":        {`-1`, `"-1ms"`, `-0.5`, `"tomorrow"`, `false`},
		"not_before":   {`0`, `"2026-01-02"`, `"2026-01-02 03:04:05"`, `"2026-13-02T03:04:05Z"`, `""`},
		"max_attempts": {`0`, `1001`, `-1`, `"3"`, `1.5`},
		"labels": {
			`null`, `[]`, `"x"`,
		},
		fmt.Sprintf("labels.%d", envelope.MaxLabels): {`{` + strings.Join(manyLabels, ",") + `}`},
		"labels.team": {`{"team":1}`, `{"team":` + long(envelope.MaxLabelValue+1) + `}`, `{"team":"a","team":"b"}`},
		"labels." + strings.Repeat("x", maxShownKey) + "...": {`{` + long(envelope.MaxLabelKey+1) + `:""}`},
	} {
		key, _, _ := strings.Cut(field, ".")
		for _, value := range values {
			requireInvalid(t, `{"payload":1,"metadata":{"`+key+`":`+value+`}}`, "metadata."+field)
		}
	}
}

func TestHeadersUpToTheLimitAreAccepted(t *testing.T) {
	t.Parallel()
	values := strings.Repeat(`"",`, envelope.MaxHeaderFields-1) + `""`
	s, err := parseSubmission([]byte(`{"headers":{"X":[` + values + `]}}`))
	require.NoError(t, err)
	require.Len(t, s.Header["X"], envelope.MaxHeaderFields)

	value := strings.Repeat("v", envelope.MaxHeaderBytes-len("X"))
	s, err = parseSubmission([]byte(`{"headers":{"X":"` + value + `"}}`))
	require.NoError(t, err)
	require.Equal(t, value, s.Header.Get("X"))
}

func requireInvalid(t *testing.T, document, field string) {
	t.Helper()
	_, err := parseSubmission([]byte(document))
	var invalid *domain.Invalid
	require.ErrorAs(t, err, &invalid, document)
	require.Equal(t, field, invalid.Field, document)
	require.NotEmpty(t, invalid.Reason)
	require.Less(t, len(invalid.Reason), 200)
}

// FuzzParseSubmission holds that parsing never panics, that a body is always a piece of its document, and that
// encoding/json would have read the same.
func FuzzParseSubmission(f *testing.F) {
	for _, seed := range []string{
		`{"payload":{"a":[1,2,{"b":"}"}]},"headers":{"X-A":["1","2"]},"metadata":{"timeout":"90s","labels":{"a":"b"}}}`,
		`{"payload": 1e400 , "metadata":{"priority":9,"delay":0.5,"max_attempts":3,"method":"PUT"}}`,
		"{\"payload\":\"\xff\u2028\\\"\"}", `{"payload":null}`, `null`, `[`, `{"payload":1,"payload":2}`, ``,
		`{"headers":{"a":["b" , ""]},"payload":[[[]],{}]}`, "{\"payl\\u006fad\"\n:\t-1.5e+3\r}",
		`{"a":"\\","payload":"\\\\\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		given := bytes.Clone(document)
		s, err := parseSubmission(document)
		require.Equal(t, given, document, "the document is not to be written to")
		if err != nil {
			var invalid *domain.Invalid
			require.ErrorAs(t, err, &invalid)
			return
		}
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(document, &members))
		require.Equal(t, string(members["payload"]), string(s.Body))
		require.True(t, bytes.Contains(document, s.Body))
	})
}
